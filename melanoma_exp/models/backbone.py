"""The option `backbone`: a known network under a head of one's own, from pretrained weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from melanoma_exp.models.head import PooledNetwork, trunk
from melanoma_exp.models.pretrained import applications, efficientnet_lite
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system.files import sha256

if TYPE_CHECKING:
    import keras

LITE = "efficientnet_lite0"
ARCHITECTURES = (LITE, *applications.SCALING)
SUFFIX = {LITE: ".npz"}  # of weights; networks of keras.applications have Keras' own


class Backbone(PooledNetwork):
    """A network without its top, pooled, and dense layers on it.

    The network scales pixels as its authors did, in itself.

    Attributes:
        architecture: `efficientnet_lite0`, or a class of keras.applications.
        weights: null is random; `imagenet` lets Keras download them; or a file: .npz for
            EfficientNet-Lite0, .weights.h5 or .h5 of a network without its top for
            keras.applications. Only a new run reads it.
        weights_sha256: Of the file, or `imagenet`; null takes any content. A run records it.
        drop_path: Rate with which the last block is skipped in training, growing linearly from 0 at
            the first (stochastic depth); of EfficientNet-Lite0 alone.
    """

    kind: Literal["backbone"]
    architecture: str
    weights: Literal["imagenet"] | Path | None
    weights_sha256: str | None = Field(pattern="^([0-9a-f]{64}|imagenet)$")
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

    def feature_maps(self, images: Any) -> Any:
        """Applies the network without its top, its own scaling of pixels first."""
        if self.architecture != LITE:
            return applications.feature_maps(self.architecture, images)
        pixels = applications.scaled(images, "torch")
        return efficientnet_lite.feature_maps(pixels, self.drop_path)

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
            applications.load(self.architecture, self.weights, trunk(model))
            return
        for name, arrays in efficientnet_lite.read(Path(self.weights), model).items():
            model.get_layer(name).set_weights(arrays)

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        weights = f"weights of {Path(self.weights).name}" if self.weights else "random weights"
        if self.weights_sha256:
            weights += f" (SHA-256 {self.weights_sha256[:12]}…)"
        return {
            "network": f"{self.name}, {self.architecture}, {weights}",
            **self.describe_head(),
            "preprocessing": "pixels scaled as the network's authors did, within it",
        }


def _absent(path: Path) -> str:
    return (
        f"model.weights: there is no file {path}; name the pretrained weights: model.weights=FILE"
    )
