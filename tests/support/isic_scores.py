"""What the scorer of the ISIC challenges gives for predictions that a seed determines.

`isic_scores.json` was written by this file with isic-challenge-scoring 5.6.0, which needs pandas
below 2.2 and so a place of its own:

    python -m pip install --target scorer "isic-challenge-scoring==5.6.0" "pandas<2.2" "numpy<2"
    PYTHONPATH=scorer python tests/support/isic_scores.py > tests/support/isic_scores.json
"""

import json
import tempfile
from pathlib import Path

import numpy as np

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
SHARES = (0.12, 0.55, 0.1, 0.06, 0.11, 0.03, 0.03)
SEEDS = (1, 2, 3)


def case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits float64 (400, 7), overconfident ones, and labels int64 (400,)."""
    random = np.random.default_rng(seed)
    truth = np.append(np.arange(7), random.choice(7, 393, p=SHARES))
    logits = random.normal(size=(400, 7)) + 1.2 * np.eye(7)[truth] + np.log(SHARES)
    return 4.0 * logits, truth


def plain(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = raised / raised.sum(axis=1, keepdims=True)
    return found


def main() -> None:
    """Prints the official scores of each case."""
    # Not installed beside this project.
    from isic_challenge_scoring.classification import ClassificationMetric, ClassificationScore

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            logits, truth = case(seed)
            tables = {"truth": np.eye(7)[truth], "prediction": plain(logits)}
            paths = {name: Path(folder) / f"{name}.csv" for name in tables}
            for name, values in tables.items():
                lines = [
                    ",".join([f"ISIC_{k:07}", *map(repr, row)])
                    for k, row in enumerate(values.tolist())
                ]
                paths[name].write_text("\n".join([",".join(["image", *CLASSES]), *lines]) + "\n")
            score = ClassificationScore.from_file(
                paths["truth"], paths["prediction"], ClassificationMetric.BALANCED_ACCURACY
            )
            found[seed] = {
                "balanced_accuracy": float(score.aggregate["balanced_accuracy"]),
                **{f"macro_{k}": float(score.macro_average[k]) for k in ("auc", "ap")},
                **{f"melanoma_{k}": float(score.per_category.loc["MEL", k]) for k in ("auc", "ap")},
            }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
