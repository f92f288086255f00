"""Reads from a network's graph at which resolutions it works."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def strides(network: "keras.Model") -> dict[str, int]:
    """Returns how many pixels of the image a step in each feature map is, by operation.

    Counted from the strides of layers, not from shapes: of small images several resolutions have
    the shape 1x1.

    Args:
        network: A functional model.
    """
    found: dict[str, int] = {}
    known: dict[int, int] = {}
    for operation in network.operations:
        before = [known.get(id(tensor), 1) for tensor in _listed(operation.input)]
        found[operation.name] = max(before, default=1) * _own(operation)
        known.update((id(tensor), found[operation.name]) for tensor in _listed(operation.output))
    return found


def last_of_each(network: "keras.Model") -> list[Any]:
    """Returns the last feature maps of each resolution, the smallest first.

    These are what a strided layer reduces, before any padding: of an inverted bottleneck the
    expanded ones, as is usual for MobileNets.

    Args:
        network: A functional model from images to feature maps.

    Returns:
        Symbolic tensors (b, h, w, channels); the network's output is the first.
    """
    steps = strides(network)
    producers = {id(operation.output): operation for operation in network.operations}
    ends: dict[int, Any] = {}
    for operation in network.operations:
        if _own(operation) == 1:
            continue
        maps = operation.input
        while type(producer := producers[id(maps)]).__name__ == "ZeroPadding2D":
            maps = producer.input
        if steps[producer.name] > 1:  # not the image
            ends.setdefault(steps[producer.name], maps)
    return [network.output, *(ends[step] for step in sorted(ends, reverse=True))]


def _own(operation: Any) -> int:
    """Returns the stride of one layer, also of a Sequential of several."""
    step = 1
    for layer in getattr(operation, "layers", [operation]):
        own = getattr(layer, "strides", 1)
        step *= own[0] if isinstance(own, tuple | list) else own
    return step


def _listed(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]
