"""What balancing promises: published counts, children that know their parent, honest weights."""

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.utils.class_weight import compute_class_weight

TRAIN = [114, 376, 95, 438, 357, 462, 77, 181, 139]
PUBLISHED_M3 = [614, 876, 595, 938, 857, 962, 577, 681, 639]


@pytest.fixture
def rows(table):
    """The official training rows, two images a group, in no order of class."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(9), TRAIN)).tolist()
    return table(labels, [k // 2 for k in range(len(labels))])


def counts(plan):
    return plan.samples.counts().tolist()


def test_500_a_class_gives_the_published_counts(rows, option):
    plan = option("balance", "add_per_class").apply(rows, 1)
    assert counts(plan) == PUBLISHED_M3
    assert len(plan.samples) == 6739


def test_a_class_without_images_gets_no_children(table, option):
    rows = table([0, 0, 2], classes=3)
    for name in ("add_per_class", "equalize"):
        plan = option("balance", name).apply(rows, 1)
        assert plan.samples.counts()[1] == 0
        assert np.isfinite(plan.class_weight).all()


def test_equalize_fills_up_to_the_largest_class_or_to_a_number(rows, option):
    assert counts(option("balance", "equalize").apply(rows, 1)) == [462] * 9
    filled = option("balance", "equalize", to=200).apply(rows, 1)
    assert counts(filled) == [max(n, 200) for n in TRAIN]


def test_undersample_cuts_down_to_the_smallest_class_or_to_a_number(rows, option):
    plan = option("balance", "undersample").apply(rows, 1)
    assert counts(plan) == [77] * 9
    assert len(set(plan.samples.id)) == len(plan.samples)
    assert set(plan.samples.id) <= set(rows.id)
    assert counts(option("balance", "undersample", to=150).apply(rows, 1)) == [
        min(n, 150) for n in TRAIN
    ]


@pytest.mark.parametrize("name", ["add_per_class", "equalize"])
def test_originals_stay_and_children_are_like_their_parents(rows, option, name):
    plan = option("balance", name).apply(rows, 1).samples
    assert plan.take(plan.copy == 0).id.tolist() == rows.id.tolist()
    assert len(set(plan.id)) == len(plan)
    children = plan.take(plan.copy > 0)
    parent = {source: row for row, source in enumerate(rows.source)}
    parents = rows.take(np.array([parent[source] for source in children.source]))
    for column in ("image", "label", "group", "official"):
        assert (getattr(children, column) == getattr(parents, column)).all(), column


def test_sources_are_drawn_from_the_whole_class_with_replacement(rows, option):
    plan = option("balance", "add_per_class", count=3000).apply(rows, 1).samples
    children = plan.take((plan.copy > 0) & (plan.label == 6))
    _, often = np.unique(children.source, return_counts=True)
    assert len(often) == 77
    assert often.std() == pytest.approx(np.sqrt(3000 / 77), rel=0.3)  # Poisson, not one each


def test_the_seed_alone_decides_the_plan(rows, option):
    for name in ("add_per_class", "equalize", "undersample"):
        first, again, other = (
            option("balance", name).apply(rows, seed).samples.id.tolist() for seed in (1, 1, 2)
        )
        assert first == again != other, name


def test_balanced_weights_are_those_of_scikit_learn(rows, option):
    weight = option("balance", "class_weight").apply(rows, 1).class_weight
    expected = compute_class_weight("balanced", classes=np.arange(9), y=rows.label)
    np.testing.assert_allclose(weight, expected)


def test_weights_worked_out_by_hand(table, option):
    rows = table([0] * 4 + [1])
    # sqrt: 1/2 and 1 over 4 and 1 rows have a mean of 3/5, so 5/6 and 5/3.
    weight = option("balance", "class_weight", scheme="sqrt").apply(rows, 1).class_weight
    np.testing.assert_allclose(weight, [5 / 6, 5 / 3])
    # beta .5: (1 - .5)/(1 - .5**4) = 8/15 and 1, mean (4 * 8/15 + 1)/5 = 47/75.
    scheme = {"scheme": "effective_number", "beta": 0.5}
    weight = option("balance", "class_weight", **scheme).apply(rows, 1).class_weight
    np.testing.assert_allclose(weight, [40 / 47, 75 / 47])


@pytest.mark.parametrize("scheme", ["balanced", "sqrt", "effective_number"])
def test_weights_have_mean_one_over_rows_and_grow_with_rarity(rows, option, scheme):
    plan = option("balance", "class_weight", scheme=scheme).apply(rows, 1)
    assert plan.class_weight[rows.label].mean() == pytest.approx(1)
    rarest_first = np.argsort(TRAIN)
    assert (np.diff(plan.class_weight[rarest_first]) < 0).all()
    assert plan.samples.id.tolist() == rows.id.tolist()


@pytest.mark.parametrize("name", ["none", "add_per_class", "equalize", "undersample"])
def test_without_a_weighting_all_classes_weigh_alike(rows, option, name):
    np.testing.assert_allclose(option("balance", name).apply(rows, 1).class_weight, 1)


@pytest.mark.parametrize("name", ["add_per_class", "equalize", "undersample"])
def test_correcting_twice_needs_force(rows, option, name):
    with pytest.raises(ValidationError, match="twice.*force=true"):
        option("balance", name, class_weight="balanced")
    plan = option("balance", name, class_weight="balanced", force=True).apply(rows, 1)
    assert plan.class_weight[plan.samples.label].mean() == pytest.approx(1)
