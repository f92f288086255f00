"""Sends one process's content to all, by the sums that also reduce gradients."""

import io
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.spec import digest


def all_reduce(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    """Returns the sum over all processes of an int32 or int64 array, called by all of them."""
    return strategy.reduce("SUM", tf.constant(values), axis=None).numpy()


def broadcast(strategy: tf.distribute.Strategy, cluster: Cluster, content: bytes) -> bytes:
    """Returns the chief's bytes in every process; the other processes' content is ignored."""
    mine = content if cluster.is_chief else b""
    size = int(all_reduce(strategy, np.array([len(mine)], np.int64))[0])
    padded = np.zeros(-(-size // 4) * 4, np.uint8)
    padded[: len(mine)] = np.frombuffer(mine, np.uint8)
    return all_reduce(strategy, padded.view(np.int32)).tobytes()[:size] if size else b""


def broadcast_arrays(
    strategy: tf.distribute.Strategy, cluster: Cluster, arrays: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Returns the chief's arrays in every process, bit for bit."""
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    content = broadcast(strategy, cluster, file.getvalue())
    with np.load(io.BytesIO(content), allow_pickle=False) as received:
        return dict(received.items())


def differences(
    strategy: tf.distribute.Strategy, cluster: Cluster, facts: Mapping[str, str]
) -> list[tuple[int, str]]:
    """Returns the workers whose facts are not the chief's, each with the name of the fact.

    Args:
        strategy: The strategy of all workers.
        cluster: The workers.
        facts: Texts by name, the same names everywhere.
    """
    table = np.zeros((len(cluster.addresses), len(facts)), np.int64)
    table[cluster.index] = [int(digest(value), 16) >> 1 for value in facts.values()]
    table = all_reduce(strategy, table)
    names = list(facts)
    return [(int(k), names[n]) for k, n in np.argwhere(table != table[0])]
