"""Whether Keras still needs what `distribution/replicated.py` does; if this fails, it can go.

https://github.com/keras-team/keras/issues/20585
"""

import json
import os
import subprocess
import sys

import pytest

from melanoma_exp.run.local_workers import free_ports

PLAIN = """
import keras, numpy as np, tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
data = tf.data.Dataset.from_tensor_slices((np.ones((8, 4), np.float32), np.zeros(8, np.int64)))
model.fit(data.batch(8), verbose=0)
"""


@pytest.mark.slow
def test_keras_alone_still_fails_on_two_workers() -> None:
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PLAIN],
            env={
                **os.environ,
                "TF_CONFIG": json.dumps(
                    {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": k}}
                ),
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for k in range(2)
    ]
    said = [process.communicate(timeout=240)[1] for process in started]
    assert all(process.returncode for process in started)
    assert all("PerReplica" in text for text in said), said
