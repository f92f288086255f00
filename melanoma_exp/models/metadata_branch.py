"""Joins metadata to any network, as a second input.

A vector of metadata passes a hidden layer and a linear one, whose output is added to the embedding
that the head reads. A first layer of the head turns the sum into what it would make of the two side
by side, so nothing is lost against their concatenation (Pacheco and Krohling, The impact of patient
clinical information on automated skin cancer detection, 2020), and the layers of the network stay
as they are: no architecture knows of it. The linear layer starts at 0, and so a network, pretrained
or not, as the one without metadata.
"""

from typing import TYPE_CHECKING, Any

from melanoma_exp.models.base import Model
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras

INPUT, HIDDEN, SHIFT, SUM = "metadata", "metadata_hidden", "metadata_shift", "metadata_sum"
WEIGHTED = (HIDDEN, SHIFT)  # its layers with weights


def join(network: "keras.Model", spec: Model, size: int, units: int) -> "keras.Model":
    """Returns the network with metadata as a second input; it shares all layers.

    Args:
        network: What the spec has built, uint8 (b, h, w, 3) to logits (b, c).
        spec: Of the network.
        size: Of a vector of metadata.
        units: Of the hidden layer.

    Returns:
        A functional model, (uint8 (b, h, w, 3), float32 (b, size)) to the logits.

    Raises:
        UserError: The network has no embedding that is a vector.
    """
    import keras
    from keras import layers

    name = spec.embedding_layer(network)
    embedding = network.get_layer(name).output
    if len(embedding.shape) != 2:
        raise UserError(
            f"dataset.inputs: the embedding of model {spec.name} has the shape "
            f"{tuple(embedding.shape[1:])}, expected a vector; use dataset.inputs=null"
        )
    metadata = keras.Input((size,), dtype="float32", name=INPUT)
    hidden = layers.Dense(units, activation="relu", dtype="float32", name=HIDDEN)
    width = int(embedding.shape[1])
    shift = layers.Dense(width, kernel_initializer="zeros", dtype="float32", name=SHIFT)
    total = layers.Add(dtype=embedding.dtype, name=SUM)([embedding, shift(hidden(metadata))])
    logits = _applied(keras.Model(embedding, network.outputs[0]), total)
    return keras.Model((network.inputs[0], metadata), logits, name=network.name)


def parameters(size: int, units: int, embedding: int) -> int:
    """Returns how many weights `join` adds to a network with an embedding of so many features."""
    return (size + 1) * units + (units + 1) * embedding


def is_joined(network: "keras.Model") -> bool:
    """Whether it takes metadata."""
    return len(network.inputs) > 1


def embedding_of(network: "keras.Model") -> Any:
    """Returns the embedding of the image, before metadata are added, of a joined network."""
    return network.get_layer(SUM).input[0]


def head_of(network: "keras.Model") -> "keras.Model":
    """Returns the part from embedding and metadata to logits of a joined network.

    Returns:
        (float (b, d), float32 (b, size)) to logits (b, c); it shares the layers.
    """
    import keras

    added = network.get_layer(SUM)
    embedding = keras.Input(added.input[0].shape[1:], dtype=added.input[0].dtype, name="embedding")
    metadata = keras.Input(network.inputs[1].shape[1:], dtype="float32", name=INPUT)
    shift = network.get_layer(SHIFT)(network.get_layer(HIDDEN)(metadata))
    logits = _applied(keras.Model(added.output, network.outputs[0]), added([embedding, shift]))
    return keras.Model((embedding, metadata), logits, name=f"{network.name}_head")


def _applied(head: "keras.Model", inputs: Any) -> Any:
    """Returns what a head makes of inputs, layer by layer: a call would hide its layers in one."""
    import keras

    made = []

    def call(operation: Any, *args: Any, **options: Any) -> Any:
        made.append(operation(*args, **options))
        return made[-1]

    keras.models.clone_model(
        head, input_tensors=inputs, clone_function=lambda layer: layer, call_function=call
    )
    return made[-1]
