"""The base of the options of the group `model`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    import keras

# Layers and operations that move, pool, drop or scale features but do not compute new ones.
NO_FEATURES = frozenset(
    "InputLayer Rescaling Normalization Resizing Cast Identity Reshape Permute Transpose "
    "Dropout SpatialDropout2D AlphaDropout GaussianDropout GaussianNoise "
    "MaxPooling2D AveragePooling2D AdaptiveMaxPooling2D AdaptiveAveragePooling2D MaxPool "
    "AveragePool ZeroPadding2D Pad Cropping2D UpSampling2D".split()
)


@dataclass(frozen=True)
class Size:
    """How large a network is: all its weights, and how wide the embedding that its head reads."""

    parameters: int
    embedding: int


class Model(Spec):
    """A network: builds a Keras model and says what others need to know about it.

    Preprocessing is inside the network, so that no caller can rescale twice.

    Attributes:
        kind: Name of the option; a Literal in each class.
        name: What tables call it.
    """

    kind: str
    name: str = Field(pattern=r"^[\w-]+$")

    def check_head(self, num_classes: int) -> None:
        """Refuses a head that does not fit the classes, before anything is built.

        Args:
            num_classes: Classes of the dataset, at least 2.

        Raises:
            UserError: It does not fit.
        """

    def settle(self, resumed: bool) -> Self:
        """Checks what the model needs from this machine, and fills in what that decides.

        Called once at the start of a run, before TensorFlow is imported; the result is what the run
        records. Where a run is read (`predict`, `export`), it is not called.

        Args:
            resumed: Whether the run goes on from a checkpoint, if it has one.

        Raises:
            UserError: Something is missing, or is not what the run recorded.
        """
        return self

    def identity(self) -> dict[str, Any]:
        """Returns the fields that determine weights and predictions: by default all of them."""
        return self.model_dump(mode="json")

    def check_image(self, image_size: tuple[int, int]) -> None:
        """Refuses images that are too small, before anything is built.

        Args:
            image_size: Height and width in pixels.

        Raises:
            UserError: They are.
        """

    def views(self, height: int, width: int) -> int:
        """Returns how many views of an image of this size the network makes of its own."""
        return 1

    def size(self, image_shape: tuple[int, int, int], num_classes: int) -> Size | None:
        """Returns what `build` would make, without TensorFlow; by default only building tells.

        For the plan, which is shown before TensorFlow is imported.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.
        """
        return None

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the network with fresh weights; reads no file.

        Also called to predict, export and resume, on machines without pretrained weights.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.

        Returns:
            A functional model, uint8 (b, h, w, 3) to float32 logits (b, num_classes).

        Raises:
            UserError: The head does not fit the classes or the image is too small.
        """
        raise NotImplementedError

    def load_pretrained(self, model: "keras.Model") -> None:
        """Replaces random weights by pretrained ones; by default there are none.

        Called once for a new run, in every process and before the model is compiled; never for a
        resumed one, whose checkpoint has all weights, unless it trains on precomputed features.

        Args:
            model: What `build` returned.

        Raises:
            UserError: The weights cannot be read, or are of another network.
        """

    def stages(self, model: "keras.Model") -> list[list[str]]:
        """Groups the layers that have weights by depth, for fine-tuning.

        By default each such layer is a group of its own.

        Args:
            model: What `build` returned.

        Returns:
            Names of layers, from input to output; the last group is the head.
        """
        return [[layer.name] for layer in model.layers if layer.weights]

    def embedding_layer(self, model: "keras.Model") -> str:
        """Returns the layer whose output, float (b, features), the head reads.

        By default the last one of that rank before the last layer with weights.

        Args:
            model: What `build` returned.

        Raises:
            UserError: There is none.
        """
        head = max((k for k, layer in enumerate(model.layers) if layer.weights), default=0)
        for layer in reversed(model.layers[:head]):
            if len(getattr(layer.output, "shape", ())) == 2:
                return str(layer.name)
        raise UserError(
            f"model {self.name}: no layer before the logits has an output of the shape (rows, "
            "features); override embedding_layer"
        )

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        return {"network": self.name}

    def gradcam_network(self, model: "keras.Model") -> "keras.Model":
        """Returns the network that Grad-CAM explains: by default the whole one.

        Args:
            model: What `build` returned.
        """
        return model

    def gradcam_layer(self, model: "keras.Model") -> str:
        """Returns the layer whose feature maps Grad-CAM explains.

        By default the last one that computes maps of more than 1x1 pixels: behind the last merge of
        a residual network, never a shortcut within it.

        Args:
            model: What `gradcam_network` returned.

        Returns:
            The name of a layer or operation of the model with output (b, h, w, channels).

        Raises:
            UserError: There is none.
        """
        import keras

        graph = keras.Model(model.inputs, model.outputs)  # a Sequential lists no operations
        for operation in reversed(graph.operations):
            shape = getattr(operation.output, "shape", ())
            spatial = shape[1:3] if len(shape) == 4 else ()
            if type(operation).__name__ not in NO_FEATURES and any(n != 1 for n in spatial):
                return str(operation.name)
        raise UserError(
            f"model {self.name}: Grad-CAM needs a layer with feature maps (rows, height, width, "
            "channels), it has none; override gradcam_layer or use evaluation.explained=0"
        )
