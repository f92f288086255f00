"""Measures what a training step costs on two processes and on one with the same cores.

    python benchmarks/distributed.py [BATCH]

M1 at 180x180, with batches of 32 where none is given: one process with two threads and two workers
with one thread each, all at the same time, so that other work on the machine matters to both alike.
Prints CPU milliseconds a step of all processes together, their ratio, and those of the sum of the
gradients alone.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
SIZE, CLASSES, WARM, STEPS = 180, 9, 8, 20


def main(batch: str = "32") -> None:
    """Starts the three processes and prints what they say."""
    from melanoma_exp.run.local_workers import free_ports

    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    started = [_start(batch, None, 0, 2), *(_start(batch, addresses, k, 1) for k in range(2))]
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
    one, two = found[0]["step"], found[1]["step"] + found[2]["step"]
    print(f"one process, two threads:      {one:.0f} CPU-ms a step")
    print(f"two workers, one thread each:  {two:.0f} CPU-ms a step, ratio {two / one:.3f}")
    size, cost = found[1]["bytes"] / 1e6, found[1]["sum"] + found[2]["sum"]
    print(f"sum of the gradients, {size:.1f} MB: {cost:.0f} CPU-ms of both")


def _start(batch: str, addresses: list[str] | None, index: int, threads: int) -> subprocess.Popen:
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "TF_CONFIG": json.dumps(task) if addresses else "",
    }
    command = [sys.executable, __file__, "process", batch]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def process(batch: int) -> None:
    """Measures as one of the processes; prints JSON."""
    from melanoma_exp import config
    from melanoma_exp.cli import compose
    from melanoma_exp.system.installation import conf_folder
    from melanoma_exp.training import process as training_process

    training_process.keep_freed_memory()
    training_process.import_tensorflow()
    import keras

    from melanoma_exp.training.losses import ClassFrequencies
    from melanoma_exp.training.optim import compile_model
    from melanoma_exp.training.signals import Signals

    kind = "multi_worker" if os.environ["TF_CONFIG"] else "single"
    words = [f"distribution={kind}", "train.precision=float32"]
    experiment = config.parse(compose.compose(conf_folder(), words))
    workers = experiment.distribution.create(batch)
    training_process.prepare_process(experiment.train, 1)
    with workers.strategy.scope():
        model = experiment.model.build((SIZE, SIZE, 3), CLASSES)
        compile_model(model, experiment.train, WARM + STEPS, ClassFrequencies.equal(CLASSES))
        workers.replicate(model, Signals())
    marks: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            marks.append(time.process_time())

    batches = workers.shard(_feed(batch)).dataset()
    model.fit(batches, steps_per_epoch=WARM + STEPS, verbose=0, callbacks=[Clock()], shuffle=False)
    shapes = [tuple(weights.shape) for weights in model.trainable_variables]
    print(
        json.dumps(
            {
                "step": 1000 * (marks[-1] - marks[WARM - 1]) / STEPS,
                "bytes": 4 * sum(int(np.prod(shape)) for shape in shapes),
                "sum": _cost_of_sum(workers.strategy, shapes) if kind == "multi_worker" else 0.0,
            }
        ),
        flush=True,
    )
    workers.leave()
    time.sleep(0 if not workers.is_chief else 5)  # the other is still summing its times
    os._exit(0)


def _feed(batch: int) -> Any:
    from melanoma_exp.data.loader import Loader, Reader
    from melanoma_exp.data.samples import Samples

    n = batch * (WARM + STEPS)
    pixels = np.random.default_rng(0).integers(0, 256, (n, SIZE, SIZE, 3)).astype(np.uint8)
    names = np.array([f"image{k}" for k in range(n)])
    classes = tuple(f"class{k}" for k in range(CLASSES))
    rows = Samples(
        classes,
        np.arange(n),
        names,
        np.zeros(n, np.int64),
        np.arange(n) % CLASSES,
        names,
        np.full(n, "train"),
    )
    return Loader(rows, Reader(pixels, pixels[:0]), batch, seed=1)


def _cost_of_sum(strategy: Any, shapes: list[tuple[int, ...]]) -> float:
    """Returns this process's CPU milliseconds for one sum of arrays of these shapes."""
    import tensorflow as tf

    arrays = [tf.zeros(shape) for shape in shapes]

    @tf.function(autograph=False)
    def sum_up() -> Any:
        context = tf.distribute.get_replica_context
        return strategy.run(lambda: context().all_reduce(tf.distribute.ReduceOp.SUM, arrays)[0])

    sum_up()
    begun = time.process_time()
    for _ in range(10):
        sum_up()
    return 100 * (time.process_time() - begun)


if __name__ == "__main__":
    process(int(sys.argv[2])) if sys.argv[1:2] == ["process"] else main(*sys.argv[1:])
