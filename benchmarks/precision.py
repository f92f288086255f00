"""Whether bfloat16 costs accuracy: pairs of runs that differ in their precision alone.

    python benchmarks/precision.py dataset=isic9 dataset.root=DIR experiment=m1
    python benchmarks/precision.py --seeds 3 train.epochs=2 dataset.image_size=[32,32]

Each seed is trained in float32 and in bfloat16, every run in a fresh process. The difference of
validation accuracy is believed only if its 95 % t interval over the seeds leaves out 0. Where
bfloat16 is emulated it is many times slower and its figures are the same up to rounding.
"""

import argparse
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import ways

from melanoma_exp.evaluation.metrics.t_tests import t_half_width
from melanoma_exp.run import runner
from melanoma_exp.system import provenance

BOTH = ("float32", "bfloat16")


def main() -> None:
    """Trains all pairs and prints their differences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="pairs of runs (default 5)")
    given, words = parser.parse_known_args()
    if given.seeds < 2:
        sys.exit("--seeds: an interval needs at least 2")
    print(provenance.collect()["machine.cpu"], flush=True)
    found = np.zeros((given.seeds, len(BOTH)))
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as place,
        ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool,
    ):
        for k in range(given.seeds):
            for n, name in enumerate(BOTH):
                asked = [*words, f"seed={k + 1}", f"train.precision={name}"]
                folder = Path(place, f"{k}-{name}")
                folder.mkdir()
                scores = pool.submit(runner.run, ways.experiment_of(asked), folder, {}).result()
                assert scores is not None
                found[k, n] = scores["val"]["accuracy"]
    for k, pair in enumerate(found):
        print(
            f"seed {k + 1}: " + ", ".join(f"{b} {v:.4f}" for b, v in zip(BOTH, pair, strict=True))
        )
    difference = found[:, 1] - found[:, 0]
    mean, half = float(difference.mean()), t_half_width(difference)
    print(f"spread over seeds: {found[:, 0].std(ddof=1):.4f} (float32)")
    print(
        f"bfloat16 - float32: {mean:+.4f}, 95 % interval {mean - half:+.4f} to {mean + half:+.4f}: "
        + ("a difference" if abs(mean) > half else "no difference beyond its own noise")
    )


if __name__ == "__main__":
    main()
