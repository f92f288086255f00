"""Lesions photographed again are found, named, and grouped only where that is asked for."""

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pictures import picture, recompressed, save
from PIL import Image

from melanoma_exp.data.audit import findings
from melanoma_exp.data.duplicates import local_features, same_lesion, shortlist
from melanoma_exp.system import threads

SIDE = 160


def again(image: Image.Image, turn: float, scale: float) -> Image.Image:
    """Photographs a picture again: turned clockwise, from another distance, in other light."""
    side = image.width
    # OpenCV turns anticlockwise.
    warp = cv2.getRotationMatrix2D((side / 2, side / 2), -turn, scale)
    warp[:, 2] += (7, -5)
    moved = cv2.warpAffine(np.asarray(image), warp, (side, side), borderMode=cv2.BORDER_REFLECT)
    return recompressed(Image.fromarray(np.clip(moved * 0.8 + 15, 0, 255).astype(np.uint8)), 80)


def find(paths: list[Path], cache: Path) -> list[tuple[str, str, int]]:
    """Returns the names of each pair, sorted, and how many structures agree."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    found = same_lesion.find(paths, digests, 10**6, cache)
    pairs = zip(found.first.tolist(), found.second.tolist(), found.agreeing.tolist(), strict=True)
    return sorted((*sorted((paths[a].stem, paths[b].stem)), n) for a, b, n in pairs)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> list[Path]:
    """Twelve pictures, of which 0 to 2 were photographed again."""
    root = tmp_path_factory.mktemp("photographs")
    paths = [save(picture(k, SIDE), root / f"{k:02}.png") for k in range(12)]
    for k, (turn, scale) in enumerate(((35, 1.2), (-100, 0.8), (5, 1.5))):
        paths.append(save(again(picture(k, SIDE), turn, scale), root / f"{k:02}b.png"))
    return paths


@pytest.mark.parametrize(("turn", "scale"), [(0, 1.0), (35, 1.3), (-140, 0.75), (90, 1.6)])
def test_a_photograph_from_another_angle_and_distance_is_found_and_described(turn, scale) -> None:
    original = picture(1, SIDE)
    first, second = (local_features.of_image(i) for i in (original, again(original, turn, scale)))
    agreeing, factor = same_lesion.compare(first, second)
    assert agreeing >= same_lesion.SURE
    assert abs(factor) == pytest.approx(scale, rel=0.05)
    assert np.degrees(np.angle(factor)) == pytest.approx(turn, abs=3)


def test_other_pictures_and_even_ones_agree_in_nothing() -> None:
    features = [local_features.of_image(picture(seed, SIDE)) for seed in range(6)]
    features.append(local_features.of_image(Image.new("RGB", (SIDE, SIDE), (180, 140, 120))))
    most = max(
        same_lesion.compare(a, b)[0] for k, a in enumerate(features) for b in features[k + 1 :]
    )
    assert most < same_lesion.SUSPECTED


def test_a_ruler_in_two_pictures_is_no_lesion() -> None:
    features = []
    for seed in (20, 21):
        pixels = np.asarray(picture(seed, 2 * SIDE)).copy()
        pixels[280:305, 20:300] = 230
        pixels[290:292, 30:290] = 0
        for k, x in enumerate(range(30, 291, 10)):
            pixels[(282 if k % 5 else 281) : 290 + k % 3, x : x + 2] = 0
            pixels[292 : 295 + (7 * k) % 10, x + 3 : x + 5 + k % 4] = 30 + 40 * (k % 4)
        features.append(local_features.of_image(Image.fromarray(pixels)))
    first, _ = same_lesion._matches(features[0][1], features[1][1])
    assert len(first) >= same_lesion.SURE  # it has matches enough
    assert same_lesion.compare(*features)[0] == 0


def test_the_pairs_are_found_in_any_order_and_with_any_number_of_threads(
    photographs, tmp_path
) -> None:
    found = find(photographs, tmp_path / "one")
    assert [pair[:2] for pair in found] == [("00", "00b"), ("01", "01b"), ("02", "02b")]
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1 if threads > 1 else 3)
        assert find(photographs[::-1], tmp_path / "two") == found
    finally:
        cv2.setNumThreads(threads)


def test_a_shortlist_shorter_than_all_pairs_holds_the_pairs(
    photographs, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(shortlist, "NEAREST", 2)
    described = [local_features.of_image(Image.open(path))[1] for path in photographs]
    proposed = shortlist.pairs(described)
    assert {(0, 12), (1, 13), (2, 14)} <= set(map(tuple, proposed.tolist()))
    assert len(proposed) <= 2 * len(photographs)
    assert (proposed[:, 0] < proposed[:, 1]).all()


def test_what_was_compared_before_is_not_compared_again(photographs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(local_features, "BLOCK", 4)
    seen: list[Image.Image] = []
    look = local_features.of_image

    def stopped(image: Image.Image) -> Any:
        seen.append(image)
        if len(seen) > 9:
            raise KeyboardInterrupt
        return look(image)

    monkeypatch.setattr(local_features, "of_image", stopped)
    with pytest.raises(KeyboardInterrupt):
        find(photographs, tmp_path)
    monkeypatch.setattr(local_features, "of_image", lambda i: (seen.append(i), look(i))[1])
    seen.clear()
    found = find(photographs, tmp_path)
    assert 0 < len(seen) <= len(photographs) - 8  # two whole blocks were there
    monkeypatch.setattr(local_features, "of_image", lambda _: pytest.fail("looked again"))
    assert find(photographs, tmp_path) == found and len(found) == 3


def test_progress_counts_every_pair_up_to_the_last(photographs, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(same_lesion, "BLOCK", 20)
    monkeypatch.setattr(threads, "CHUNK", 8)
    told: list[tuple[int, int]] = []
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in photographs]
    same_lesion.find(photographs, digests, 10**6, tmp_path, lambda *n: told.append(n))
    (total,) = {n for _, n in told}
    assert total == len(photographs) * (len(photographs) - 1) // 2  # few enough to be all
    done = [n for n, _ in told]
    assert done == sorted(done) and done[-1] == total and len(set(done)) >= total // 8


@pytest.fixture
def spec(folder, tmp_path) -> Any:
    """A set with a lesion in two parts, one whose id says that it is one, and a copy."""
    root = tmp_path / "data"
    for k in range(4):
        save(picture(k, SIDE), root / f"Train/a/ISIC_000000{k}.png")
        save(picture(10 + k, SIDE), root / f"Train/b/ISIC_000001{k}.png")
    save(again(picture(0, SIDE), 20, 1.2), root / "Test/b/ISIC_0000020.png")
    save(again(picture(1, SIDE), 30, 1.1), root / "Train/a/ISIC_0000021.png")
    save(recompressed(picture(2, SIDE), 60), root / "Train/a/ISIC_0000022.png")
    (root / "meta.csv").write_text(
        "image_id,lesion\nISIC_0000001,L1\nISIC_0000021,L1\nISIC_0000000,L2\nISIC_0000020,L3\n"
    )

    def build(same: str) -> Any:
        return folder(csv="meta.csv", group_column="lesion", same_lesion=same)

    return build


def test_the_audit_names_what_no_lesion_id_says(spec, tmp_path) -> None:
    found = findings.find(spec("review").survey(tmp_path / "cache"))
    (one,) = [f for f in found if f.kind == "same lesion"]
    assert [Path(i).stem for i in one.ids] == ["ISIC_0000000", "ISIC_0000020"]
    assert one.detail == "sure, two labels"
    assert "lesions L2 and L3" in one.note and "in two official parts" in one.note
    assert not [f for f in findings.find(spec("off").survey(tmp_path)) if f.kind == "same lesion"]


def test_sure_pairs_group_only_where_that_is_asked_for(spec, tmp_path) -> None:
    groups = {}
    for same in ("off", "review", "sure"):
        samples = spec(same).survey(tmp_path / "cache").samples
        names = [Path(source).stem for source in samples.source]
        groups[same] = dict(zip(names, samples.group.tolist(), strict=True))
    tied = {same: of["ISIC_0000000"] == of["ISIC_0000020"] for same, of in groups.items()}
    assert tied == {"off": False, "review": False, "sure": True}
    assert groups["off"] == groups["review"]
    assert sum(groups["sure"][name] != groups["off"][name] for name in groups["off"]) == 1
