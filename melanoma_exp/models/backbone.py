"""The option `backbone`: a known network under a head of one's own, from pretrained weights."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from melanoma_exp.models import applications, efficientnet_lite, head, resolutions
from melanoma_exp.models.base import Model
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system.files import sha256

if TYPE_CHECKING:
    import keras

LITE = "efficientnet_lite0"
ARCHITECTURES = (LITE, *applications.SCALING)
SUFFIX = {LITE: ".npz"}  # of weights; networks of keras.applications have Keras' own
# What names of layers say about their block: conv2_block1_, block2a_, block_1_, stage_0_block_0_.
BLOCK = re.compile(r"(?:conv\d+_|stage_\d+_)?(?:blocks?_?\d+[a-z]?|expanded_conv(?:_\d+)?)(?=_)")
HEAD = r"embedding_norm|hidden\d+|logits"  # the layers of the head that have weights


class Backbone(Model):
    """A network without its top, pooled, and dense layers on it.

    The network scales pixels as its authors did, in itself.

    Attributes:
        architecture: `efficientnet_lite0`, or a class of keras.applications.
        weights: null is random; `imagenet` lets Keras download them; or a file: .npz for
            EfficientNet-Lite0, .weights.h5 or .h5 of a network without its top for
            keras.applications. Only a new run reads it.
        weights_sha256: Of the file, or `imagenet`; null takes any content. A run records it.
        levels: How many of the last resolutions are pooled and concatenated: 1 is the last feature
            maps, 2 adds those of twice the resolution before they are reduced, and so on.
        pool: Mean, maximum or both over the pixels of a feature map.
        normalize: Whether batch normalisation follows the pooled features. Features of several
            levels differ in scale by orders of magnitude; a head on a frozen network needs it.
        hidden: Units of each dense layer before the logits, ReLU after each.
        dropout: Before each dense layer, the logits' too.
        drop_path: Rate with which the last block is skipped in training, growing linearly from 0 at
            the first (stochastic depth); of EfficientNet-Lite0 alone.
    """

    kind: Literal["backbone"]
    architecture: str
    weights: Literal["imagenet"] | Path | None
    weights_sha256: str | None = Field(pattern="^([0-9a-f]{64}|imagenet)$")
    levels: int = Field(ge=1, le=5)
    pool: head.Pool
    normalize: bool
    hidden: tuple[Annotated[int, Field(ge=1)], ...]
    dropout: float = Field(ge=0, le=0.99)
    drop_path: float = Field(ge=0, le=0.9)

    @field_validator("architecture")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            guess = did_you_mean(name, ARCHITECTURES, f"; there are {', '.join(ARCHITECTURES)}")
            raise ValueError(f"there is no network {name}{guess}")
        return name

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        suffix = SUFFIX.get(self.architecture, ".h5")
        if self.weights == "imagenet" and self.architecture == LITE:
            raise ValueError(
                f"weights: Keras offers none of {LITE}; name a file {suffix} (weights=FILE)"
            )
        if isinstance(self.weights, Path) and self.weights.suffix != suffix:
            raise ValueError(
                f"weights: {self.architecture} takes a file {suffix} (got {self.weights})"
            )
        if self.weights_sha256 and not isinstance(self.weights, Path):
            if self.weights_sha256 != self.weights:
                raise ValueError("weights_sha256: is of a file, and weights names none")
        if self.drop_path and self.architecture != LITE:
            raise ValueError(f"drop_path: only {LITE} has it; {self.architecture} needs 0")
        return self

    def settle(self, resumed: bool) -> Self:
        """Checks the file of weights and fills in its SHA-256.

        Args:
            resumed: A resumed run needs no file, as long as it has a checkpoint.

        Raises:
            UserError: It is not there, or has not the content that is asked for.
        """
        if not isinstance(self.weights, Path):
            return self.model_copy(update={"weights_sha256": self.weights})
        path = self.weights.expanduser().absolute()
        if not path.is_file():
            if resumed and self.weights_sha256:
                return self
            raise UserError(_absent(path))
        found = sha256(path)
        if self.weights_sha256 not in (None, found):
            raise UserError(
                f"model.weights: {path} has another content than the run asks for: its SHA-256 is "
                f"{found}, model.weights_sha256 is {self.weights_sha256}"
            )
        return self.model_copy(update={"weights": path, "weights_sha256": found})

    def identity(self) -> dict[str, Any]:
        """Returns the fields that determine weights: of a file its content, not its path."""
        content = super().identity()
        if self.weights_sha256:
            del content["weights"]
        return content

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the network with random weights; reads no file.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.

        Returns:
            A functional model, uint8 (b, h, w, 3) to float32 logits (b, num_classes). Its layer
            `embedding` gives the pooled features, float32 (b, features).

        Raises:
            UserError: The image is too small, or there are fewer levels.
        """
        import keras
        from keras import layers

        images = keras.Input(image_shape, dtype="uint8", name="images")
        if self.architecture == LITE:
            pixels = applications.scaled(images, "torch")
            maps = efficientnet_lite.feature_maps(pixels, self.drop_path)
        else:
            maps = applications.feature_maps(self.architecture, images)
        levels = resolutions.last_of_each(keras.Model(images, maps))
        if len(levels) < self.levels:
            raise UserError(f"model.levels: {self.architecture} has {len(levels)} resolutions")
        x = head.pooled(levels[: self.levels], self.pool)
        if self.normalize:
            x = layers.BatchNormalization(dtype="float32", name="embedding_norm")(x)
        logits = head.logits(x, num_classes, self.dropout, self.hidden)
        return keras.Model(images, logits, name=self.name.replace("-", "_"))

    def load_pretrained(self, model: "keras.Model") -> None:
        """Gives the network its pretrained weights; the head stays random.

        Raises:
            UserError: The file holds other weights, or the download fails.
        """
        if self.weights is None:
            return
        if isinstance(self.weights, Path) and not self.weights.is_file():
            raise UserError(_absent(self.weights))
        if self.architecture != LITE:
            applications.load(self.architecture, self.weights, _trunk(model))
            return
        for name, arrays in efficientnet_lite.read(Path(self.weights), model).items():
            model.get_layer(name).set_weights(arrays)

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        weights = f"weights of {Path(self.weights).name}" if self.weights else "random weights"
        if self.weights_sha256:
            weights += f" (SHA-256 {self.weights_sha256[:12]}…)"
        levels = f", {self.levels} levels" if self.levels > 1 else ""
        return {
            "network": f"{self.name}, {self.architecture}, {weights}",
            "head": f"{self.pool} pool{levels}, hidden dense layers {len(self.hidden)}",
            "preprocessing": "pixels scaled as the network's authors did, within it",
        }

    def stages(self, model: "keras.Model") -> list[list[str]]:
        """Groups layers by block, where names say the block, else by resolution.

        Returns:
            Names of layers with weights, from the stem to the head.
        """
        trunk, groups = _trunk(model), dict[str, list[str]]()
        strides = resolutions.strides(trunk)
        for layer in applications.weighted(trunk):
            block = BLOCK.search(layer.name)
            group = block.group() if block else f"stride {strides[layer.name]}"
            groups.setdefault(group, []).append(layer.name)
        last = [layer.name for layer in model.layers if re.fullmatch(HEAD, layer.name)]
        return [*groups.values(), last]

    def embedding_layer(self, model: "keras.Model") -> str:
        """Returns the name of the layer that gives the pooled features."""
        return "embedding"


def _absent(path: Path) -> str:
    return (
        f"model.weights: there is no file {path}; name the pretrained weights: model.weights=FILE"
    )


def _trunk(model: "keras.Model") -> "keras.Model":
    """Returns the part of a model from images to the last feature maps; it shares the layers."""
    import keras

    pool = next(layer for layer in model.layers if re.fullmatch("(avg|max)_pool1", layer.name))
    return keras.Model(model.inputs, pool.input)
