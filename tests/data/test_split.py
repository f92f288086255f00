"""What a split promises: no group is cut, no image is lost, shares are kept, order does not matter.

The published order is held to Keras' own result, and to the leak that everybody published with it.
"""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.spec import UserError

PUBLISHED = [114, 376, 95, 438, 357, 462, 77, 181, 139]
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 15), st.booleans()), min_size=1, max_size=60
)
SEEDS = st.integers(0, 2**63)


def build(table, rows, official=True) -> Samples:
    labels, groups, test = zip(*rows, strict=True)
    return table(labels, groups, test if official else None, classes=4)


def ids(*parts: Samples) -> list[str]:
    return sorted(str(name) for part in parts for name in part.id)


def crossing(*parts: Samples) -> set[str]:
    sides = Counter(g for part in parts for g in set(part.group))
    return {g for g, n in sides.items() if n > 1}


def labels_of(counts: list[int]) -> list[int]:
    return np.repeat(np.arange(len(counts)), counts).tolist()


@given(rows=ROWS, seed=SEEDS, official=st.booleans())
def test_holdout_never_cuts_a_group_and_loses_no_row(table, option, rows, seed, official):
    samples = build(table, rows, official)
    parts = option("split", "holdout", seed=seed, guard_test=False).apply(samples)
    assert ids(parts.train, parts.val, parts.test) == ids(samples)
    assert not crossing(parts.train, parts.val)
    if not (samples.official == "test").any():
        assert not crossing(parts.train, parts.val, parts.test)


@given(rows=ROWS, seed=SEEDS, folds=st.integers(2, 6), official=st.booleans())
def test_folds_never_cut_a_group_and_validate_each_pool_row_once(
    table, option, rows, seed, folds, official
):
    samples = build(table, rows, official)
    splits = [
        option("split", "kfold", folds=folds, fold=k, seed=seed, guard_test=False).apply(samples)
        for k in range(folds)
    ]
    assert len({tuple(ids(parts.test)) for parts in splits}) == 1
    pool = samples.take(~np.isin(samples.id, splits[0].test.id))
    assert ids(*(parts.val for parts in splits)) == ids(pool)
    for parts in splits:
        assert ids(parts.train, parts.val) == ids(pool)
        assert not crossing(parts.train, parts.val)


@given(rows=ROWS, seed=SEEDS, kind=st.sampled_from(["holdout", "kfold"]))
def test_guard_drops_exactly_what_shares_a_group_with_test(table, option, rows, seed, kind):
    samples = build(table, rows)
    test = samples.official == "test"
    guarded = ~test & np.isin(samples.group, samples.group[test])
    parts = option("split", kind, seed=seed).apply(samples)
    assert ids(parts.train, parts.val, parts.test) == ids(samples.take(~guarded))
    assert not crossing(parts.train, parts.val, parts.test)
    assert set(parts.leak().values()) == {0.0}


@given(rows=ROWS, kind=st.sampled_from(["holdout", "kfold", "published"]))
def test_the_publishers_test_part_stays_the_test_part(table, option, rows, kind):
    samples = build(table, [(0, 99, True), *rows])
    parts = option("split", kind).apply(samples)
    assert ids(parts.test) == ids(samples.take(samples.official == "test"))


@given(
    counts=st.lists(st.integers(0, 90), min_size=1, max_size=5).filter(any),
    val=st.sampled_from([0.1, 0.2, 0.35, 0.5]),
    test=st.sampled_from([0.0, 0.1, 0.3]),
)
def test_holdout_keeps_the_share_of_every_class_to_about_one_image(
    table, option, counts, val, test
):
    samples = table(labels_of(counts), classes=len(counts))
    parts = option("split", "holdout", val=val, test=test).apply(samples)
    asked = {"train": 1 - val - test, "val": val, "test": test}
    for name, part in parts.items():
        assert np.abs(part.counts() - asked[name] * np.array(counts)).max() < 2, name
    assert test or not len(parts.test)


@given(counts=st.lists(st.integers(0, 90), min_size=1, max_size=5).filter(any))
def test_folds_share_every_class_evenly(table, option, counts):
    samples = table(labels_of(counts), classes=len(counts))
    splits = [option("split", "kfold", fold=k, test=0).apply(samples) for k in range(5)]
    sizes = np.array([parts.val.counts() for parts in splits])
    assert (sizes.max(0) - sizes.min(0)).max() <= 1


def test_shares_hold_where_lesions_have_several_images(table, option):
    draw = np.random.default_rng(0)
    size = draw.geometric(0.5, 900)
    groups = np.repeat(np.arange(900), size).tolist()
    samples = table(np.repeat(draw.integers(0, 5, 900), size).tolist(), groups)
    parts = option("split", "holdout").apply(samples)
    for share, (_, part) in zip((0.6, 0.2, 0.2), parts.items(), strict=True):
        assert np.abs(part.counts() / samples.counts() - share).max() < 0.02


@pytest.mark.parametrize("kind", ["holdout", "kfold", "published"])
def test_the_seed_alone_decides_the_split(table, option, kind):
    samples = table(labels_of([60, 40, 20]))
    first, again, other = (
        option("split", kind, seed=seed).apply(samples).digest for seed in (1, 1, 2)
    )
    assert first == again != other


@given(rows=ROWS, few=st.integers(1, 3), more=st.integers(3, 9))
def test_fewer_training_images_are_a_subset_of_more(table, option, rows, few, more):
    train = build(table, rows)
    drawn = [option("split", "kfold", train_per_class=n).limit(train) for n in (few, more, None)]
    assert ids(drawn[2]) == ids(train)
    assert set(ids(drawn[0])) <= set(ids(drawn[1]))
    for part, n in zip(drawn, (few, more), strict=False):
        assert part.counts().tolist() == np.minimum(train.counts(), n).tolist()
    # Whatever other images there are.
    half = train.take(np.arange(len(train)) % 2 == 0)
    limited = set(ids(option("split", "file", path="x", train_per_class=few).limit(half)))
    assert set(ids(drawn[0])) & set(ids(half)) <= limited


def test_published_order_is_that_of_keras(table, option):
    # Recorded from image_dataset_from_directory(validation_split=0.2, seed=123) of Keras 3.15.
    samples = table(labels_of(PUBLISHED))
    within = np.concatenate([np.arange(n) for n in PUBLISHED])
    parts = option("split", "published").apply(samples)
    names = [
        [f"c{label}/{within[row]:04d}.jpg" for label, row in zip(p.label, p.image, strict=True)]
        for p in (parts.train, parts.val)
    ]
    assert [len(side) for side in names] == [1792, 447]
    assert names[0][:3] == ["c3/0190.jpg", "c0/0018.jpg", "c3/0420.jpg"]
    assert names[1][-2:] == ["c4/0099.jpg", "c4/0323.jpg"]
    hashes = [hashlib.sha256("\n".join(side).encode()).hexdigest()[:16] for side in names]
    assert hashes == ["6bd8d111bea78177", "698a0f14fc190b4b"]


def test_published_order_leaks_as_published_and_the_honest_one_does_not(table, option):
    samples, balance = table(labels_of(PUBLISHED)), option("balance", "add_per_class")
    leaks = []
    for seed in range(5):
        plan = balance.apply(samples, seed).samples
        parts = option("split", "published", seed=seed).apply(plan)
        assert (len(parts.train), len(parts.val)) == (5392, 1347)
        leaks.append(parts.leak()["leak/val_rows_with_train_source"])
    assert np.mean(leaks) == pytest.approx(0.88, abs=0.02)
    honest = option("split", "holdout").apply(samples)
    train = balance.apply(honest.train, 0).samples
    assert set(Parts(train, honest.val, honest.test).leak().values()) == {0.0}


@pytest.fixture
def paired(table) -> Samples:
    """Forty images in twenty groups of two."""
    return table([k % 4 for k in range(40)], [k // 2 for k in range(40)])


def test_a_written_split_is_read_back(paired, option, tmp_path):
    parts = option("split", "holdout").apply(paired)
    path = tmp_path / "split.csv"
    path.write_text(parts.to_csv(paired))
    assert option("split", "file", path=path).apply(paired).digest == parts.digest
    path.write_text(parts.to_csv(paired), encoding="utf-8-sig")  # as spreadsheets save it
    assert option("split", "file", path=path).apply(paired).digest == parts.digest
    plan = option("balance", "add_per_class", count=3).apply(parts.train, 0)
    path.write_text(Parts(plan.samples, parts.val, parts.test).to_csv(paired))
    assert option("split", "file", path=path).apply(paired).digest == parts.digest


def test_a_written_split_with_guarded_images_is_read_back(table, option, tmp_path):
    samples = table(
        [k % 4 for k in range(40)], [k // 2 for k in range(40)], [k in (5, 16) for k in range(40)]
    )
    parts = option("split", "holdout").apply(samples)
    assert sum(len(part) for _, part in parts.items()) == 38  # the partners of 5 and 16 are out
    path = tmp_path / "split.csv"
    path.write_text(parts.to_csv(samples))
    assert path.read_text().count(",unused\n") == 2
    assert option("split", "file", path=path).apply(samples).digest == parts.digest


def edited(paired: Samples, **parts: str | None) -> str:
    sides = {str(s): "train val test".split()[k // 4 % 3] for k, s in enumerate(paired.source)}
    sides.update(parts)
    return "\n".join(["id,part", *(f"{k},{v}" for k, v in sides.items() if v)]) + "\n"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"image0001": "val"}, ["image0001", "cuts groups of train"]),
        ({"image0001": "test"}, ["image0001", "cuts groups of train"]),
        ({"image0005": "test"}, ["image0005", "cuts groups of val"]),
        ({"image0002": None, "image0003": None}, ["image0002, image0003", "misses", "2 images"]),
        ({"nowhere": "val"}, ["nowhere", "does not have"]),
        ({"image0007": "valid"}, ["line 9", "image0007", "valid", "train, val, test or unused"]),
    ],
)
def test_a_wrong_split_file_is_refused_in_one_line(paired, option, tmp_path, parts, said):
    path = tmp_path / "mine.csv"
    path.write_text(edited(paired, **parts))
    assert_refused(option, path, paired, said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,part\nimage0000,train\nimage0000,val\n", ["line 3", "image0000", "twice"]),
        (b"name,part\nimage0000,train\n", ["lacks the column id"]),
        (b"id;part\nimage0000;trian\n", ["line 2", "expected an id"]),
        (b"id,part\nimage\xff,train\n", ["line 2", "UTF-8"]),
        (None, ["cannot be read: No such file"]),
    ],
)
def test_an_unreadable_split_file_is_refused_in_one_line(paired, option, tmp_path, content, said):
    path = tmp_path / "mine.csv"
    if content is not None:
        path.write_bytes(content)
    assert_refused(option, path, paired, said)


def assert_refused(option, path, samples, said):
    with pytest.raises(UserError) as refused:
        option("split", "file", path=path).apply(samples)
    (line,) = refused.value.lines
    assert "\n" not in line
    for words in [str(path), *said]:
        assert words in line
