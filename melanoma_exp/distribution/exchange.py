"""Content of one process known to all of them, by the sums that gradients take too."""

import io
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.spec import digest


def sum_up(strategy: tf.distribute.Strategy, numbers: np.ndarray) -> np.ndarray:
    """Returns the sum over all processes; int32 or int64 of one shape, called by all of them."""
    return strategy.reduce("SUM", tf.constant(numbers), axis=None).numpy()


def share(strategy: tf.distribute.Strategy, cluster: Cluster, content: bytes) -> bytes:
    """Returns the chief's bytes in every process; what the others give is not looked at."""
    mine = content if cluster.is_chief else b""
    size = int(sum_up(strategy, np.array([len(mine)], np.int64))[0])
    padded = np.zeros(-(-size // 4) * 4, np.uint8)
    padded[: len(mine)] = np.frombuffer(mine, np.uint8)
    return sum_up(strategy, padded.view(np.int32)).tobytes()[:size] if size else b""


def share_arrays(
    strategy: tf.distribute.Strategy, cluster: Cluster, arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the chief's arrays in every process, bit for bit."""
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    with np.load(io.BytesIO(share(strategy, cluster, file.getvalue())), allow_pickle=False) as got:
        return dict(got.items())


def differing(
    strategy: tf.distribute.Strategy, cluster: Cluster, facts: Mapping[str, str]
) -> list[tuple[int, str]]:
    """Returns which workers have another value than the chief, and of what.

    Args:
        strategy: Of all of them.
        cluster: The workers.
        facts: Texts by name, the same names everywhere.
    """
    table = np.zeros((len(cluster.addresses), len(facts)), np.int64)
    table[cluster.index] = [int(digest(value), 16) >> 1 for value in facts.values()]
    table = sum_up(strategy, table)
    names = list(facts)
    return [(int(k), names[n]) for k, n in np.argwhere(table != table[0])]
