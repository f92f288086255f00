"""The option `keras_hub`: the network of a KerasHub preset, from a folder of this machine.

What is read of the preset is recorded with the run, so that the folder is needed once.
"""

import re
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from melanoma_exp.models.head import PooledNetwork, trunk
from melanoma_exp.models.pretrained import applications, keras_hub_preset
from melanoma_exp.models.pretrained.keras_hub_preset import Preset
from melanoma_exp.spec import UserError
from melanoma_exp.system.files import sha256

if TYPE_CHECKING:
    import keras

MAPS = "feature_maps"  # the layer that gives the last of them
MOST_PREFIX_TOKENS = 16  # a class token, another of distillation, up to four registers: some room


class KerasHub(PooledNetwork):
    """The network of a KerasHub preset without its task, pooled, and dense layers on it.

    Convolutional networks take images of any size. Transformers become feature maps again, a pixel
    for each patch; most of them take images of the size of the preset alone.

    Attributes:
        preset: The folder; a new run reads it.
        pretrained: Whether the weights of the preset are taken, or random ones.
        weights_sha256: Of `model.weights.h5`; null takes any content. A run records it.
        recorded: What the preset says about its network; a run records it.
    """

    kind: Literal["keras_hub"]
    preset: Path | None
    pretrained: bool
    weights_sha256: str | None = Field(pattern="^[0-9a-f]{64}$")
    recorded: Preset | None

    def settle(self, resumed: bool) -> Self:
        """Reads what the preset says, and fills in the SHA-256 of its weights.

        Args:
            resumed: A resumed run needs no folder, as long as it has a checkpoint.

        Raises:
            UserError: The folder is no preset of an image network, or has not the content that is
                asked for.
        """
        if self.preset is None:
            raise UserError("model.preset: name the folder of a KerasHub preset (model.preset=DIR)")
        folder = self.preset.expanduser().absolute()
        if resumed and self.recorded and not folder.exists():
            return self
        recorded, found = keras_hub_preset.read(folder), None
        if self.recorded not in (None, recorded):
            raise UserError(f"model.preset: {folder} is another network than the run asks for")
        if self.pretrained:
            found = sha256(keras_hub_preset.weights(folder))
            if self.weights_sha256 not in (None, found):
                raise UserError(
                    f"model.preset: {folder} has other weights than the run asks for: their "
                    f"SHA-256 is {found}, model.weights_sha256 is {self.weights_sha256}"
                )
        elif self.weights_sha256:
            raise UserError("model.weights_sha256: is of pretrained weights (pretrained=true)")
        update = {"preset": folder, "weights_sha256": found, "recorded": recorded}
        return self.model_copy(update=update)

    def identity(self) -> dict[str, Any]:
        """Returns the fields that determine weights: of the preset its content, not its path."""
        content = super().identity()
        del content["preset"]
        return content

    def feature_maps(self, images: Any) -> Any:
        """Applies the network without its task, the preset's scaling of pixels first."""
        from keras import layers

        preset = self._preset()
        network = self._network(tuple(images.shape[1:]))
        scaling = layers.Rescaling(
            preset.scale, preset.offset, dtype="float32", name="scale_pixels"
        )
        try:
            x = applications.rebuilt(network, network.inputs[0], scaling(images))
        except (AttributeError, TypeError, ValueError) as error:  # not every layer says what it is
            raise UserError(
                f"model.preset: KerasHub's {preset.network} cannot be copied: {_line(error)}"
            ) from error
        rank = len(getattr(x, "shape", ()))
        if rank == 4:
            return layers.Identity(name=MAPS)(x)
        patch = preset.config.get("patch_size")
        if rank != 3 or not isinstance(patch, int | list | tuple):
            raise UserError(f"model.preset: a {preset.network} gives no feature maps of an image")
        sides = [patch, patch] if isinstance(patch, int) else patch
        rows, columns = (size // side for size, side in zip(images.shape[1:3], sides, strict=True))
        _, tokens, width = x.shape
        prefix = tokens - rows * columns
        if not 0 <= prefix <= MOST_PREFIX_TOKENS:
            raise UserError(
                f"model.preset: a {preset.network} gives {tokens} tokens, and not one for each of "
                f"{rows}x{columns} patches"
            )
        x = layers.Cropping1D((prefix, 0), name="without_prefix")(x) if prefix else x
        return layers.Reshape((rows, columns, width), name=MAPS)(x)

    def load_pretrained(self, model: "keras.Model") -> None:
        """Gives the network the preset's weights; the head stays random.

        Raises:
            UserError: The folder is gone, or its weights are of another network.
        """
        if not self.pretrained or self.preset is None:
            return
        network = self._network(tuple(model.input_shape[1:]))
        path = keras_hub_preset.weights(self.preset)
        applications.read(network, path, f"a {self._preset().network}", "model.preset")
        applications.copy_weights(network, trunk(model))

    def gradcam_layer(self, model: "keras.Model") -> str:
        """Returns the layer whose feature maps Grad-CAM explains: the last, unless of 1x1 pixels.

        Layers of KerasHub may give several maps, which the search of other networks passes over.
        """
        _, rows, columns, _ = model.get_layer(MAPS).output.shape
        return MAPS if (rows, columns) != (1, 1) else super().gradcam_layer(model)

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        weights = "random weights"
        if self.pretrained and self.preset:
            weights = f"weights of the preset {self.preset.name}"
        if self.weights_sha256:
            weights += f" (SHA-256 {self.weights_sha256[:12]}…)"
        network = self.recorded.network if self.recorded else "network"
        return {
            "network": f"{self.name}, {network} of KerasHub, {weights}",
            **self.describe_head(),
            "preprocessing": "pixels scaled as the preset says, within the network",
        }

    def _preset(self) -> Preset:
        if self.recorded is None:
            raise UserError("model.recorded: is missing; a run fills it in from model.preset")
        return self.recorded

    def _network(self, image_shape: tuple[int, ...]) -> "keras.Model":
        """Returns the network of the preset, of random weights."""
        preset = self._preset()
        try:
            import keras_hub
        except ImportError as error:
            raise UserError(
                "model=keras_hub needs KerasHub, which is not installed: pip install "
                f"'melanoma_exp[keras-hub]' ({error})"
            ) from error
        create = getattr(keras_hub.models, preset.network, None)
        if create is None:
            raise UserError(
                f"model.preset: KerasHub {keras_hub.__version__} has no {preset.network}"
            )
        # EfficientNets call it otherwise.
        shape = "image_shape" if "image_shape" in signature(create).parameters else "input_shape"
        try:
            return create(**preset.config, **{shape: image_shape})
        except (TypeError, ValueError) as error:
            raise UserError(
                f"model.preset: {preset.network} with images {image_shape}: {_line(error)}"
            ) from error


def _line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error))[:200]
