"""Ways of `training.py` in Keras: this framework, the way of the notebooks, and the machine's peak.

The notebook way is what the published notebooks do: float32 images of
`image_dataset_from_directory` through `cache().shuffle(1000).prefetch(AUTOTUNE)`, rescaling and
random layers inside the model, plain `fit` (`notebook.py`). XLA, which Keras would choose by itself
for nets without random layers, is off: it is slower on CPUs.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import ways
from notebook import compile_as_notebook, notebook_model

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.loader import Loader
from melanoma_exp.training import process

Built = tuple[Callable[[], Any], dict[str, Any]]
SIDE, PRODUCTS = 2048, 4  # of the matrix products that show the peak


def product(experiment: Experiment, datamodule: DataModule, count: int) -> Built:
    """Builds what a run builds."""
    process.keep_freed_memory()
    process.import_tensorflow()
    from melanoma_exp.training import precision
    from melanoma_exp.training.data_wait import DataWait
    from melanoma_exp.training.losses import ClassFrequencies
    from melanoma_exp.training.optim import compile_model

    train, said = precision.settle(experiment.train)
    process.prepare_process(train, experiment.seed)
    plan = replace(datamodule.plan, samples=ways.some(datamodule, count))
    loader = Loader.training(
        plan, datamodule.reader, experiment.augment, train.batch_size, experiment.seed
    )
    classes = len(datamodule.parts.train.classes)
    model = experiment.model.build(datamodule.data.pixels.shape[1:], classes)
    compile_model(model, train, loader.steps, ClassFrequencies.of(plan))
    epochs = iter(range(10**6))
    facts = {"precision": train.precision, "classes": classes, "told": said or train.precision}

    def turn() -> dict[str, Any]:
        waits = DataWait()
        batches = waits.measure(loader.dataset(next(epochs)))
        model.fit(batches, steps_per_epoch=loader.steps, verbose=0, shuffle=False)
        return {"images": loader.images, "waited": waits.later}

    return turn, facts


def notebook(experiment: Experiment, datamodule: DataModule, count: int) -> Built:
    """Builds what the notebooks build, with all defaults of TensorFlow and Keras."""
    import tensorflow as tf

    samples = ways.some(datamodule, count)
    images, batch_size = datamodule.reader.read(samples), experiment.train.batch_size
    batches = (
        tf.data.Dataset.from_tensor_slices((images, samples.label.astype(np.int32)))
        .batch(batch_size)
        .map(lambda image, label: (tf.cast(image, tf.float32), label))
        .cache()
        .shuffle(1000)
        .prefetch(tf.data.AUTOTUNE)
    )
    model = notebook_model(experiment, images.shape[1:], len(samples.classes))
    compile_as_notebook(model, experiment.train.learning_rate)

    def turn() -> dict[str, Any]:
        model.fit(batches, verbose=0, shuffle=False)
        return {"images": len(images)}

    return turn, {"precision": "float32", "told": "defaults of Keras, float32"}


def peak(experiment: Experiment, datamodule: DataModule, count: int) -> Built:
    """Builds large matrix products, in bfloat16 too where that is native."""
    process.import_tensorflow()
    import tensorflow as tf

    from melanoma_exp.training import precision

    auto = experiment.train.model_copy(update={"precision": "auto"})
    kinds = ["float32", *({"bfloat16"} & {precision.settle(auto)[0].precision})]
    factor = tf.random.normal((SIDE, SIDE))

    def turn() -> dict[str, Any]:
        seconds, work = {}, {}
        for kind in kinds:
            matrix = tf.cast(factor, kind)
            tf.matmul(matrix, matrix)
            before = ways.cpu_seconds()
            for _ in range(PRODUCTS):
                tf.matmul(matrix, matrix).numpy()
            seconds[kind] = max(ways.cpu_seconds() - before, 1e-3)
            work[kind] = 2 * SIDE**3 * PRODUCTS
        return {"cpu": seconds, "flops": work}

    return turn, {"precision": "float32"}


if __name__ == "__main__":
    ways.serve({"product": product, "notebook": notebook, "peak": peak}[sys.argv[1]])
