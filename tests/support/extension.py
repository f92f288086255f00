"""A user's own file outside the package, with a network, a policy and their YAMLs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from small_run import SMALL

from melanoma_exp.system.extensions import loading
from melanoma_exp.system.extensions.group import Group

LAB = '''"""A network and a policy of my own."""

from typing import Literal

import numpy as np
from pydantic import Field

from melanoma_exp.augment import Policy
from melanoma_exp.models import Model
from my_sizes import UNITS


class Tiny(Model):
    """One convolution and a linear head."""

    kind: Literal["tiny"]
    filters: int = Field(ge=1)

    def build(self, image_shape, num_classes):
        import keras

        images = keras.Input(image_shape, dtype="uint8")
        x = keras.layers.Rescaling(1 / 255)(images)
        x = keras.layers.Conv2D(self.filters * UNITS, 3, activation="relu")(x)
        x = keras.layers.GlobalAveragePooling2D()(x)
        logits = keras.layers.Dense(num_classes, dtype="float32")(x)
        return keras.Model(images, logits)


class Darker(Policy):
    """Images made darker, each by a share of its own."""

    kind: Literal["darker"]
    most: float = Field(ge=0, le=1)

    def draw(self, image, random):
        return (image * (1 - self.most * random.uniform())).astype(np.uint8)
'''
SIZES = '"""What the network reads from a file beside its own."""\n\nUNITS = 2\n'
YAMLS = {
    "model/tiny.yaml": "# a network of one convolution\nkind: tiny\nname: tiny\nfilters: 2\n",
    "augment/darker.yaml": "# darker images\nkind: darker\nonline: true\nbatch: []\nmost: 0.3\n",
}
BASE = [word for word in SMALL if not word.startswith("model")]


def write(folder: Path) -> Path:
    """Writes the extension into a folder and returns the path of its file."""
    for name, text in YAMLS.items():
        path = folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "my_sizes.py").write_text(SIZES)
    (folder / "my_lab.py").write_text(LAB)
    return folder / "my_lab.py"


@contextmanager
def forgotten() -> Iterator[None]:
    """Leaves this process as if no extension had been loaded within."""
    path, modules = list(sys.path), set(sys.modules)
    before, joined = dict(loading._LOADED), {g: dict(g.extensions) for g in Group.known.values()}
    try:
        yield
    finally:
        sys.path[:] = path
        loading._LOADED.clear()
        loading._LOADED.update(before)
        for group in Group.known.values():
            group.extensions = joined.get(group, {})
        for name in set(sys.modules) - modules:
            if name.startswith("my_"):
                del sys.modules[name]
