"""What a network costs, counted from its spec; no framework is needed."""

import math
from dataclasses import dataclass

from melanoma_exp.models.cnn import Cnn, per_item


@dataclass(frozen=True)
class Cost:
    """Of one image going forward: multiply-adds of convolutions and dense layers; all weights."""

    multiply_adds: int
    parameters: int

    @property
    def flops(self) -> int:
        """Two a multiply-add."""
        return 2 * self.multiply_adds


def count(spec: Cnn, image_shape: tuple[int, int], num_classes: int) -> Cost:
    """Counts multiply-adds and weights.

    Biases, normalisation, pooling and activations are left out of the multiply-adds, as is usual:
    below 1 % of these networks.

    Args:
        spec: The network.
        image_shape: Height and width in pixels.
        num_classes: Outputs, where the spec does not say.
    """
    height, width = image_shape
    channels, work, weights = 3, 0, 0
    paddings, norms = per_item(spec.padding, spec.filters), per_item(spec.norm, spec.filters)
    for filters, padding, norm in zip(spec.filters, paddings, norms, strict=True):
        for after in filters:
            if padding == "valid":
                height, width = height - spec.kernel + 1, width - spec.kernel + 1
            kernel = spec.kernel**2 * channels * after
            work += kernel * height * width
            weights += kernel + after
            channels = after
        height, width = height // 2, width // 2
        weights += 4 * channels * (norm != "none")
    features = math.prod((height, width, channels))
    for units, norm in zip(spec.dense, per_item(spec.dense_norm, spec.dense), strict=True):
        work += features * units
        weights += features * units + units + 4 * units * bool(norm)
        features = units
    units = spec.head_units or num_classes
    return Cost(work + features * units, weights + features * units + units)
