"""What a part of a recipe is worth is the paired difference, with the sign of helping."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from stored_runs import Store, images

FOLDER = Path(__file__).resolve().parents[2] / "experiments"
FOLDS = [images(90, 3, seed=fold, prefix=f"fold{fold}-") for fold in (0, 1)]
SKILLS = {"m3": 0.3, "m3-with-good": 0.6, "m3-without-good": 0.1, "m3-with-none": 0.3}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    sys.path.insert(0, str(FOLDER))
    import study
    from studies import Study

    store = Store(tmp_path_factory.mktemp("parts") / "mlruns")
    sizes = dict(zip(SKILLS, (32, 40, 48, 56), strict=True))
    setups: dict[str, list[Any]] = {}
    archive = study.composed([f"tracking.folder={store.folder}"]).tracking.archive()
    for row, skill in SKILLS.items():
        for fold in (0, 1):
            words = ("experiment=m3", "split=kfold", "split.folds=2", f"split.fold={fold}")
            size = f"dataset.image_size=[{sizes[row]},{sizes[row]}]"
            for seed in (1, 2):
                run_id = store.write(
                    *words,
                    size,
                    skill=skill,
                    seed=seed,
                    draw=100 * seed + 10 * fold + list(SKILLS).index(row),
                    parts={"val": FOLDS[fold]},
                    name=f"{row}-fold{fold}-s{seed}",
                )
                setups.setdefault(row, []).append(archive.run(run_id))
    asked = Study({}, {}, (), lambda c, p: [], families={"m3": list(SKILLS)[1:]})
    (found,) = study.compare(archive, asked, setups)
    yield found
    sys.path.remove(str(FOLDER))


def direct(compared: Any, name: str, auc: bool) -> float:
    """The mean over seeds and folds of a figure, computed run by run."""
    values = []
    for row in compared.rows:
        for run in row.runs:
            if run.stored.name.startswith(f"{name}-fold"):
                part = run.parts["val"]
                values.append(
                    roc_auc_score(part.label, part.probability, multi_class="ovr")
                    if auc
                    else balanced_accuracy_score(part.label, part.predicted)
                )
    assert len(values) == 4
    return float(np.mean(values))


@pytest.mark.parametrize("auc", [True, False])
def test_a_part_is_worth_what_the_setup_with_it_reaches_beyond_that_without(
    compared: Any, auc: bool
) -> None:
    import parts

    figure = parts.macro_auc if auc else parts.balanced_accuracy
    added, left_out, none = sorted(
        parts.worth(compared, figure), key=lambda one: -abs(one.estimate)
    )
    assert none.setup == "m3-with-none"
    base = direct(compared, "m3", auc)
    expected = {
        direct(compared, "m3-with-good", auc) - base,
        base - direct(compared, "m3-without-good", auc),
    }
    assert {round(one.estimate, 9) for one in (added, left_out)} == {
        round(value, 9) for value in expected
    }
    assert all(one.low > 0 and one.p < 0.05 for one in (added, left_out))
    assert none.low < 0 < none.high and none.p > 0.05
    for one in (added, left_out, none):
        assert np.mean(one.seeds) == pytest.approx(one.estimate)


def test_the_plot_and_the_table_name_every_part(compared: Any, tmp_path: Path) -> None:
    import parts

    parts.draw_parts([compared], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    text = "\n".join(parts.describe(None, [compared]))
    assert all(f"| {name} |" in text for name in list(SKILLS)[1:])


def test_rows_ahead_of_the_reference_and_behind_it_are_drawn(compared: Any, tmp_path: Path) -> None:
    import forest

    lines = forest.draw_recipes_against("m3", [compared], tmp_path / "figure.png")
    assert [line.split(":")[0] for line in lines] == [forest.setup(row) for row in compared.rows]
    val = compared.tested[0]
    found = dict(
        (forest.setup(row), one) for row, one in forest._outcomes(compared.rows, [val], "m3")
    )
    assert found["m3"] is None
    for name in ("m3-with-good", "m3-without-good"):
        one = found[name]
        difference = direct(compared, name, False) - direct(compared, "m3", False)
        assert one.low < one.estimate < one.high and one.estimate * difference > 0
