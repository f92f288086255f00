"""The group `inference`: which views a trained network predicts from and how it chooses a class.

Training and its monitors see the image as it is. The network that is evaluated, predicted with,
served and exported is the trained one inside a graph that turns and enlarges the image, and whose
probabilities are the mean over these views (test-time augmentation; Krizhevsky et al., 2012).
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.spec import Spec

if TYPE_CHECKING:
    import keras

Correction = Literal["none", "validation"] | Annotated[float, Field(gt=0, le=2)]
# Whether rows and columns change places, whether rows and whether columns are reversed after it.
Orientation = tuple[bool, bool, bool]
FLIPS: tuple[Orientation, ...] = tuple(
    (False, rows, columns) for rows in (False, True) for columns in (False, True)
)
STEPS = 128.0  # between two pixels, where an image is enlarged
DIHEDRAL = (*FLIPS, *((True, rows, columns) for _, rows, columns in FLIPS))


class Inference(Spec):
    """Views of an image whose mean probability is the prediction, and the choice of a class.

    Attributes:
        views: `none` is the image as it is; `flips` adds both mirror images and the half turn;
            `dihedral` all eight flips and quarter turns, the four of `flips` where the image is not
            square.
        scales: Each view at each of these: 1 is the whole image, 1.25 its central 80 % enlarged to
            the full size.
        prior_correction: For balanced accuracy: the predicted class is the one with the largest
            p / share**tau, where `share` is what training saw of the class (Menon et al., 2021).
            A number is tau, `validation` chooses it there by balanced accuracy, `none` is 0.
            Probabilities and alerts stay as they are.
    """

    views: Literal["none", "flips", "dihedral"]
    scales: tuple[Annotated[float, Field(ge=1, le=4)], ...] = Field(min_length=1)
    prior_correction: Correction

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len(set(self.scales)) < len(self.scales):
            raise ValueError("scales: should differ from each other")
        return self

    def count(self, height: int, width: int) -> int:
        """Returns how often the network runs for one image of this size."""
        return len(self._orientations(height, width)) * len(self.scales)

    def describe(self, height: int, width: int) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        rows = {}
        if self.prior_correction != "none":
            fixed = self.prior_correction != "validation"
            tau = f"{self.prior_correction:g}" if fixed else "chosen on validation"
            rows["predicted class"] = f"largest p / (share in training)**tau, tau {tau}"
        count = self.count(height, width)
        if count == 1 and self.scales == (1.0,):
            return rows
        turned = "unturned" if self.views == "none" else self.views
        scales = ", ".join(f"{scale:g}" for scale in self.scales)
        text = f"mean probability of {count} views: {turned}, scales {scales}"
        text += "; validation during training and Grad-CAM see the image alone"
        return {"inference": text, **rows}

    def wrap(self, network: "keras.Model") -> "keras.Model":
        """Returns a network that predicts from the views.

        It shares the weights, is made of Keras' own operations, and so is saved and exported like
        any other. All views of a batch are one batch of the network.

        Args:
            network: uint8 (b, h, w, 3) to float32 logits (b, c); or that and metadata, float32
                (b, size), which are the same for all views.

        Returns:
            The network itself for a single view of the whole image, else a functional model of the
            same inputs, to float32 (b, c): the logarithm of the mean of the views' softmax.
        """
        import keras
        from keras import ops

        _, height, width, _ = network.inputs[0].shape
        orientations = self._orientations(height, width)
        if len(orientations) == 1 and self.scales == (1.0,):
            return network
        images = keras.Input(network.inputs[0].shape[1:], dtype="uint8", name="images")
        metadata = [
            keras.Input(x.shape[1:], dtype=x.dtype, name=x.name) for x in network.inputs[1:]
        ]
        zoomed = [_zoomed(images, scale, height, width) for scale in self.scales]
        views = [_oriented(image, one) for image in zoomed for one in orientations]
        seen = [ops.concatenate(views, axis=0) if len(views) > 1 else views[0]]
        seen += [ops.concatenate([x] * len(views), axis=0) for x in metadata]
        logits = network(tuple(seen) if metadata else seen[0])
        chance = ops.log_softmax(ops.reshape(logits, (len(views), -1, logits.shape[-1])), axis=-1)
        # The largest of a class's views is taken out, so that no exponential underflows.
        largest = ops.max(chance, axis=0)
        mean = ops.log(ops.mean(ops.exp(chance - largest), axis=0)) + largest
        inputs = (images, *metadata) if metadata else images
        wrapped = keras.Model(inputs, mean, name=f"{network.name}_views")
        wrapped.jit_compile = network.jit_compile
        return wrapped

    def _orientations(self, height: int, width: int) -> tuple[Orientation, ...]:
        if self.views == "none":
            return FLIPS[:1]
        return DIHEDRAL if self.views == "dihedral" and height == width else FLIPS


def _oriented(images: Any, orientation: Orientation) -> Any:
    """Turns and mirrors images (b, h, w, 3); no pixel is resampled."""
    from keras import ops

    transposed, rows, columns = orientation
    if transposed:
        images = ops.transpose(images, (0, 2, 1, 3))
    axes = [axis for axis, reverse in ((1, rows), (2, columns)) if reverse]
    return ops.flip(images, axis=axes) if axes else images


def _zoomed(images: Any, scale: float, height: int, width: int) -> Any:
    """Enlarges the central part of images (b, h, w, 3), uint8, to their size.

    Bilinear, in integers below 2**24: exact in float32, so that every exported format gives the
    same pixels, which their own resizes do not.
    """
    from keras import ops

    if scale == 1:
        return images
    enlarged = ops.cast(images, "float32")
    for axis, length in ((1, height), (2, width)):
        place = (np.arange(length) + 0.5 - length / 2) / scale + length / 2 - 0.5
        low = np.clip(np.floor(place), 0, length - 1).astype(np.int32)
        shape = [length if k == axis else 1 for k in range(4)]
        share = np.round((place - low) * STEPS).astype(np.float32).reshape(shape)
        below = ops.take(enlarged, low, axis=axis) * (STEPS - share)
        above = ops.take(enlarged, np.minimum(low + 1, length - 1), axis=axis) * share
        enlarged = below + above
    return ops.cast(enlarged / STEPS**2 + 0.5, "uint8")
