"""What a pretrained network costs on this machine: forward passes and training steps.

    python benchmarks/backbones.py efficientnet_lite0 MobileNetV2

CPU-milliseconds an image of 112x152 pixels in batches of 64, with random weights.
"""

import sys
import time
from typing import Any

import numpy as np

from melanoma_exp.models.backbone import Backbone
from melanoma_exp.system import provenance
from melanoma_exp.training import process

SHAPE, BATCH, TIMES = (112, 152, 3), 64, 4
HEAD = {"levels": 1, "pool": "avg", "normalize": False, "hidden": [], "dropout": 0.2}
WEIGHTS = {"weights": None, "weights_sha256": None, "drop_path": 0.0}


def main(architectures: list[str]) -> None:
    """Prints a line for each network and precision."""
    process.import_tensorflow()
    import keras
    import tensorflow as tf

    print(provenance.collect()["machine.cpu"], flush=True)
    images = np.random.default_rng(0).integers(0, 256, (BATCH, *SHAPE), np.uint8)
    labels = np.zeros(BATCH, np.int64)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for name in architectures:
        content = {"kind": "backbone", "name": name, "architecture": name, **HEAD, **WEIGHTS}
        for policy in ("float32", "mixed_bfloat16"):
            keras.config.set_dtype_policy(policy)
            model = Backbone.model_validate(content).build(SHAPE, 7)
            forward = cost(tf.function(model), images)
            model.compile("adamw", loss, jit_compile=False)
            training = cost(model.train_on_batch, images, labels)
            print(f"{name} {policy}: forward {forward:.1f}, training {training:.1f}", flush=True)


def cost(function: Any, *batch: np.ndarray) -> float:
    """Returns the CPU-milliseconds an image, after a first call that is not counted."""
    function(*batch)
    began = time.process_time()
    for _ in range(TIMES):
        np.asarray(function(*batch))  # waits for the result
    return (time.process_time() - began) / TIMES / BATCH * 1e3


if __name__ == "__main__":
    main(sys.argv[1:])
