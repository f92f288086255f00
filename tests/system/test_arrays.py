"""Arrays of images on disk: equal to those in memory, and never mapped."""

import os
from pathlib import Path

import numpy as np
import pytest

from melanoma_exp.system import arrays
from melanoma_exp.system.arrays import Images


@pytest.fixture
def stored(tmp_path) -> tuple[np.ndarray, Path]:
    """Images in memory, and the file they were written to row by row."""
    content = np.random.default_rng(0).integers(0, 256, (200, 180, 180, 3), np.uint8)
    begin = arrays.create(tmp_path / "x.npy", content.shape)
    for rows in (slice(120, 200), slice(0, 120)):
        arrays.write(tmp_path / "x.npy", begin + rows.start * content[0].nbytes, content[rows])
    return content, tmp_path / "x.npy"


def test_images_on_disk_are_those_in_memory_and_cost_no_memory(stored):
    content, path = stored
    mapped = np.load(path, mmap_mode="r")
    images, rows = Images(mapped), np.random.default_rng(1).permutation(200)
    image = np.empty(content.shape[1:], np.uint8)
    before = resident()
    for row in rows.tolist():
        images.read(row, image)
        assert np.array_equal(image, content[row])
    assert resident() - before < 2**23 < content.nbytes
    path.unlink()  # readers continue
    assert np.array_equal(images.take(rows[:5]), content[rows[:5]])
    assert np.array_equal(Images(content).take(rows[:5]), content[rows[:5]])


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_file_that_became_shorter_is_an_error(stored):
    content, path = stored
    images = Images(np.load(path, mmap_mode="r"))
    os.truncate(path, content.nbytes // 2)
    with pytest.raises(OSError, match="is shorter than it was"):
        images.take(np.array([199]))


def test_a_full_disk_is_met_before_the_first_image_is_written(disk):
    with pytest.raises(OSError, match="No space left"):
        arrays.create(disk("64k") / "x.npy", (100, 32, 32, 3))
