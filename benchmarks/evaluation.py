"""Measures what the figures of a part with all their intervals cost.

    python benchmarks/evaluation.py [images]

Images of nine classes (10,000 by default), each a group of its own, the dearest case; 2,000
resamples as in `conf/evaluation/default.yaml`.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import classes, part_metrics, threshold
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap

ROOT = Path(__file__).parents[1]


def main(images: int) -> None:
    """Prints the seconds and CPU seconds of each step."""
    spec = Evaluation.model_validate(
        yaml.safe_load((ROOT / "conf/evaluation/default.yaml").read_text())
    )
    random = np.random.default_rng(0)
    names = [f"class{k}" for k in range(9)]
    share = np.array([5, 15, 4, 18, 15, 20, 3, 9, 11]) / 100
    truth = random.choice(9, images, p=share)
    logits = random.normal(size=(images, 9)) + 2.0 * np.eye(9)[truth]
    sites = random.choice(["trunk", "face", "arm", "leg"], images)
    metadata = [
        {"age": str(age), "site": str(site)}
        for age, site in zip(random.integers(5, 90, images), sites, strict=True)
    ]
    group = np.array([f"lesion{k}" for k in range(images)])
    alerts = {"melanoma": ("class3",), "malignant": ("class1", "class3", "class7")}
    done = _clock("draw the resamples")
    bootstrap = Bootstrap(group, spec.resamples, spec.seed, spec.confidence)
    done()
    done = _clock("classes and overall, intervals included")
    classes.evaluate(truth, softmax(logits), bootstrap)
    done()
    done = _clock("temperature, thresholds and their bands")
    decisions = threshold.decide(logits, truth, names, alerts, spec.threshold, bootstrap)
    done()
    done = _clock("the whole assessment (classes, alerts, calibration, subgroups)")
    part_metrics.compute(logits, truth, names, metadata, decisions, spec, bootstrap)
    done()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def _clock(what: str):  # noqa: ANN202
    wall, cpu = time.perf_counter(), time.process_time()

    def done() -> None:
        seconds = time.perf_counter() - wall
        print(f"{seconds:6.2f} s {time.process_time() - cpu:6.2f} CPU-s  {what}")

    return done


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
