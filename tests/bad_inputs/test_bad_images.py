"""A set of images that are none names each with the reason, or is read without them."""

from pathlib import Path

import bad_images
import pytest
from bad_page import SECTIONS, agrees

from melanoma_exp.spec import UserError


@pytest.mark.timeout(60)
def test_a_set_that_holds_them_names_them_all(folder, tmp_path: Path) -> None:
    paths = bad_images.a_set(tmp_path / "data")
    spec = folder(max_pixels=bad_images.LIMIT)
    survey = spec.survey(tmp_path / "cache")
    found = dict(line.split(": ", 1) for line in survey.unreadable)
    assert found.keys() == paths.keys()
    for path, reason in found.items():
        agrees(SECTIONS["Images"], paths[path], f"{bad_images.NAME}: {reason}")
    with pytest.raises(UserError) as refused:
        spec.load(tmp_path / "cache")
    assert refused.value.lines[-1].startswith(f"{len(paths)} unreadable image files: repair")
    kept = folder(max_pixels=bad_images.LIMIT, on_bad_file="skip").load(tmp_path / "cache")
    assert len(kept.samples) == 6 and len(kept.skipped) == len(paths)
