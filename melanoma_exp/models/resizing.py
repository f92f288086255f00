"""Resizes images inside a network, to the pixels that the decoder would have made."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

STEPS = 256  # parts into which a pixel's weight is divided: products with 255 stay exact in float32


def wrap(network: "keras.Model", height: int, width: int, name: str) -> "keras.Model":
    """Returns a network that takes images of another size.

    Args:
        network: uint8 (b, h, w, 3) to (b, c).
        height: Of the images it is to take, in pixels.
        width: The same.
        name: Of the result.

    Returns:
        The network itself where it takes this size, else a functional model, uint8 (b, height,
        width, 3) to (b, c), which shares its weights.
    """
    import keras

    _, own_height, own_width, _ = network.input_shape
    if (own_height, own_width) == (height, width):
        return network
    images = keras.Input((height, width, 3), dtype="uint8", name="images")
    wrapped = keras.Model(images, network(resized(images, own_height, own_width)), name=name)
    wrapped.jit_compile = network.jit_compile
    return wrapped


def resized(images: Any, height: int, width: int) -> Any:
    """Resizes images the way Pillow's `bilinear` filter does: rows after columns, antialiased.

    In integers below 2**24, so that every exported format gives the same pixels. Pillow's weights
    are finer: its pixels differ by one grey level at most, in few places.

    Args:
        images: uint8 (b, h, w, 3), symbolic or not.
        height: Of the result, in pixels.
        width: The same.

    Returns:
        uint8 (b, height, width, 3).
    """
    from keras import ops

    pixels = ops.cast(images, "float32")
    for axis, length in ((2, width), (1, height)):
        if pixels.shape[axis] == length:
            continue
        table = weights(int(pixels.shape[axis]), length).astype(np.float32)
        moved = ops.matmul(ops.moveaxis(pixels, axis, -1), table.T)
        pixels = ops.moveaxis(ops.floor(moved / STEPS + 0.5), -1, axis)
    return ops.cast(pixels, "uint8")


def weights(length: int, wanted: int) -> np.ndarray:
    """Returns how much each pixel of a line counts in each pixel of the resized line.

    A triangle around each new pixel's centre, as wide as two new pixels where the line shrinks and
    as two old ones where it grows.

    Args:
        length: Of the line, in pixels.
        wanted: Of the resized line.

    Returns:
        int64 (wanted, length), each row of sum `STEPS`.
    """
    scale = length / wanted
    centres = (np.arange(wanted) + 0.5) * scale - 0.5
    distance = np.abs(np.arange(length) - centres[:, None]) / max(scale, 1.0)
    share = np.clip(1 - distance, 0, None)
    share *= STEPS / share.sum(axis=1, keepdims=True)
    table = np.floor(share).astype(np.int64)
    # The largest remainders get what rounding down left over.
    left = STEPS - table.sum(axis=1)
    order = np.argsort(table - share, axis=1, kind="stable")
    for row, count in enumerate(left):
        table[row, order[row, :count]] += 1
    return table
