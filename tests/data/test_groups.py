"""What belongs together stays together: lesions, images, copies and near-duplicates."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import picture, position, recompressed, save

from melanoma_exp.data.groups import unite
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError

LINKS = st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=40)
KEY = st.sampled_from(["", "", *"abcdefgh"])


@given(
    lesions=st.lists(KEY, min_size=40, max_size=40),
    copies=st.lists(KEY, min_size=40, max_size=40),
    links=LINKS,
    seed=st.integers(0, 2**31),
    kind=st.sampled_from(["holdout", "kfold"]),
    test=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_no_lesion_no_copy_and_no_near_duplicate_is_on_two_sides(
    table, option, lesions, copies, links, seed, kind, test
):
    columns = [[f"L{k}" * bool(k) for k in lesions], [f"C{k}" * bool(k) for k in copies]]
    names = [f"image{k:04d}" for k in range(40)]
    group = unite([*columns, names], np.array(links, np.int64).reshape(-1, 2))
    samples = replace(table([k % 3 for k in range(40)], test=test), group=group)
    parts = option("split", kind, seed=seed).apply(samples)
    side = {str(s): name for name, part in parts.items() for s in part.source}
    sides = [side.get(name) for name in names]
    tied = [(a, b) for c in columns for a in range(40) for b in range(a) if c[a] and c[a] == c[b]]
    for a, b in [*tied, *links]:
        # A training image is in no part where its group is in the test set.
        assert sides[a] == sides[b] or {sides[a], sides[b]} == {None, "test"}
    dropped = [k for k in range(40) if sides[k] is None]
    assert all(group[k] in group[np.array(test)] and not test[k] for k in dropped)


def test_a_split_file_that_cuts_a_near_duplicate_is_refused(folder, option, tmp_path):
    for k in range(8):
        save(picture(k), tmp_path / f"data/{'ab'[k % 2]}/{k}.png")
    save(recompressed(position(picture(3), 6), 50), tmp_path / "data/b/turned3.png")
    samples = folder().load(tmp_path / "cache").samples
    path = tmp_path / "mine.csv"
    rows = [f"{s},{'val' if 'turned' in s else 'train'}" for s in samples.source]
    path.write_text("\n".join(["id,part", *rows]) + "\n")
    with pytest.raises(UserError, match="cuts groups of train at: .*b/turned3.png"):
        option("split", "file", path=path).apply(samples)


def crossing(*parts: Samples) -> set[str]:
    sides = Counter(g for part in parts for g in set(part.group))
    return {g for g, n in sides.items() if n > 1}


def test_no_group_crosses_on_the_real_set(isic9, option):
    splits = [option("split", "holdout")] + [option("split", "kfold", fold=k) for k in range(5)]
    lesions = np.array(isic9.survey.listing.lesions)
    for split in splits:
        parts = split.apply(isic9.samples)
        known = [set(lesions[part.image]) - {""} for _, part in parts.items()]
        assert not (known[0] & known[1] or known[0] & known[2] or known[1] & known[2])
        assert not crossing(parts.train, parts.val, parts.test)
        assert len(parts.test) == 118
        assert len(parts.val) / (len(parts.train) + len(parts.val)) == pytest.approx(0.2, abs=0.01)


def test_lesion_and_patient_both_tie_where_both_are_known(folder, tmp_path):
    for k in range(1, 7):
        save(picture(k), tmp_path / f"data/Train/nevus/ISIC_000000{k}.png")
    lesions = ("L1", "L1", "", "", "", "")
    patients = ("", "P1", "P1", "P2", "P2", "")

    def write(heading: str, *columns: tuple[str, ...]) -> None:
        rows = [f"ISIC_000000{k + 1},NV,{','.join(c[k] for c in columns)}" for k in range(6)]
        text = "\n".join([f"image_id,isic2019_label,{heading}", *rows])
        (tmp_path / "data/metadata.csv").write_text(text)

    write("lesion_id", lesions)
    without = folder("isic9", expected={}, patient_column=None).load(tmp_path)
    lesion_alone = folder("isic9", expected={}).load(tmp_path)
    assert lesion_alone.survey.digest == without.survey.digest
    assert lesion_alone.samples.group.tolist() == without.samples.group.tolist()
    write("lesion_id,patient_id", lesions, patients)
    both = folder("isic9", expected={}).load(tmp_path)
    first, *_ = group = both.samples.group.tolist()
    assert group[:3] == [first] * 3 and group[3] == group[4] and len(set(group)) == 3
    assert "images of one patient stay together, by patient_id: known for 4" in both.notes
    spec = folder(csv="metadata.csv", root=tmp_path / "data/Train", patient_column="patient")
    (tmp_path / "data/metadata.csv").rename(tmp_path / "data/Train/metadata.csv")
    with pytest.raises(UserError, match="lacks the column patient"):
        spec.load(tmp_path)
