"""The rows of a comparison are ordered by the metric that is asked for."""

import pytest
from stored_runs import built

from melanoma_exp.comparison import table
from melanoma_exp.spec import UserError


def test_the_order_is_by_validation_and_by_test_only_where_asked(store) -> None:
    ids = []
    for rate, skills in ((0.41, (0.9, 0.1)), (0.42, (0.1, 0.9))):
        ids.append(store.write(f"model.dropout={rate}", skill=skills[0]))
        text = store.artifact(ids[-1], "predictions_test.csv")
        assert text.exists()
        store.client.log_metric(ids[-1], "final/test/balanced_accuracy", skills[1])
    found = built(store, ids)
    assert "0.41" in found.rows[0].label
    assert not any("Choosing by it" in line for line in found.verdict.caveats)
    found = built(store, ids, by="test/balanced_accuracy")
    assert "0.42" in found.rows[0].label
    assert any("selecting on the test set" in line for line in found.verdict.caveats)
    with pytest.raises(UserError, match="did you mean accuracy"):
        built(store, ids, by="acuracy")


def test_any_recorded_metric_orders_in_its_direction_and_has_a_column(store) -> None:
    ids = []
    for rate, brier in ((0.43, 0.4), (0.44, 0.2)):
        ids.append(store.write(f"model.dropout={rate}"))
        store.client.log_metric(ids[-1], "final/val/brier", brier)
    found = built(store, ids, by="brier")
    assert "0.44" in found.rows[0].label  # the lower the better
    assert "val brier" in table.to_markdown(found.rows, found.best, "melanoma", "brier")
    with pytest.raises(UserError, match="--by kappa: expected one of balanced_accuracy"):
        built(store, ids, by="kappa")  # not recorded here


def test_metrics_of_two_probabilities_are_not_compared_without_a_word(store) -> None:
    ids = [store.write(f"model.dropout={rate}") for rate in (0.45, 0.46)]
    for run, value in zip(ids, (0.8, 0.7), strict=True):
        store.client.log_metric(run, "final/val/melanoma_auc", value)

    def mixed(by: str) -> bool:
        return any("not comparable" in line for line in built(store, ids, by).verdict.caveats)

    assert not mixed("melanoma_auc")  # both of an earlier version
    store.client.log_metric(ids[0], "final/val/melanoma_auc_calibrated", 0.8)
    assert mixed("melanoma_auc") and not mixed("balanced_accuracy")
