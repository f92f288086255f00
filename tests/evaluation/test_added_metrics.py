"""Metrics that a config adds: refused in one line where they cannot be computed."""

import numpy as np
import pytest

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.evaluation.metrics.interval import Bootstrap
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder


def test_a_metric_whose_file_is_not_named_is_refused_in_one_line() -> None:
    words = ["evaluation.metrics=[{kind: error_cost, name: cost}]"]
    with pytest.raises(UserError, match=r"^evaluation\.metrics\.0: .*extend=my_lab\.py") as refused:
        config.parse(compose.compose(conf_folder(), words))
    assert len(refused.value.lines) == 1


def test_a_function_of_group_weights_has_the_interval_of_its_resamples() -> None:
    values = np.array([0.0, 0.0, 1.0, 3.0])
    bootstrap = Bootstrap(np.array(["a", "a", "b", "c"]), 2000, 1, 0.95)
    sums = bootstrap.cells(np.zeros(4, int), 1, values=values)
    rows = bootstrap.cells(np.zeros(4, int), 1)
    (found,) = bootstrap.estimate_each({"mean": lambda w: (sums @ w)[0] / (rows @ w)[0]}).values()
    assert found.value == 1.0
    assert found.low == 0.0 and found.high == pytest.approx(3.0)  # all of one group, some resamples
