"""How long `compare` takes over 100 runs: 20 setups, 5 seeds, 447 validation and 118 test images.

python benchmarks/compare_runs.py [RUNS]
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))

import stored_runs  # noqa: E402  (beside the tests)

CLASSES = (
    "actinic keratosis",
    "basal cell carcinoma",
    "dermatofibroma",
    "melanoma",
    "nevus",
    "pigmented benign keratosis",
    "seborrheic keratosis",
    "squamous cell carcinoma",
    "vascular lesion",
)
SEEDS = 5


def main(runs: int) -> None:
    """Writes the runs, compares them in a fresh process and prints the seconds."""
    parts = {
        "val": stored_runs.images(447, 9, 0),
        "test": stored_runs.images(118, 9, 1, "test"),
    }
    with tempfile.TemporaryDirectory() as place:
        store = stored_runs.Store(Path(place) / "mlruns")
        started = time.perf_counter()
        for k in range(runs):
            setup, seed = divmod(k, SEEDS)
            skill = 0.35 + 0.02 * setup + np.random.default_rng(k).normal(0, 0.02)
            store.write(
                f"model.dropout={0.01 * setup:.2f}",
                skill=skill,
                seed=seed + 1,
                draw=k + 1,
                parts=parts,
                classes=CLASSES,
                epochs=20,
                tags={"sweep": "one"},
            )
        print(f"{runs} runs written in {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        command = [sys.executable, "-m", "melanoma_exp", "compare", "--sweep", "one"]
        subprocess.run(
            [*command, f"tracking.folder={store.folder}", "--out", f"{place}/out"],
            check=True,
            cwd=place,
        )
        size = (Path(place) / "out" / "comparison.html").stat().st_size
        seconds = time.perf_counter() - started
        print(f"compared in {seconds:.1f} s; the page has {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
