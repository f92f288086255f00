"""Settings of TensorFlow and the C library for the whole process; every run sets all of them."""

import ctypes
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from melanoma_exp.training.spec import Train

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
HIDDEN = ("cudart_stub", "absl::InitializeLog", "cuda_platform", "oneDNN", "cpu_feature_guard")


def use_onednn() -> None:
    """Makes TensorFlow use oneDNN's kernels, unless the environment says otherwise.

    By default TensorFlow uses them on x86 processors with AVX-512 only, else Eigen's. Measured on
    two AVX2 cores, M1 at 180x180: 30 -> 15 CPU-ms an image. TensorFlow reads the environment once,
    when it is imported.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault(ONEDNN, "1")


def import_tensorflow() -> None:
    """Imports TensorFlow with its fast kernels and finds its devices.

    Its libraries write lines about missing GPUs to the process's standard error, whatever its log
    level; these are hidden, everything else is passed on.
    """
    use_onednn()
    with without_lines(HIDDEN):
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextmanager
def without_lines(words: Sequence[str]) -> Iterator[None]:
    """Holds standard error back within; its lines go on after that, but those with these words.

    Args:
        words: Any of them hides a line.
    """
    with tempfile.TemporaryFile() as captured:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if not any(word in line for word in words):
                    print(line, file=sys.stderr)


def prepare_process(spec: Train, seed: int) -> None:
    """Sets precision, seeds and determinism anew, for earlier runs in this process change them.

    Args:
        spec: The options; `precision` is not `auto`.
        seed: Seed of weight initialisation and dropout.
    """
    import keras
    import tensorflow as tf

    from melanoma_exp.training.optim import POLICIES

    keras.backend.clear_session()
    keras.config.set_dtype_policy(POLICIES[spec.precision])
    keras.utils.set_random_seed(seed)
    if spec.deterministic:
        tf.config.experimental.enable_op_determinism()


def keep_freed_memory() -> None:
    """Tells glibc to reuse freed memory instead of returning it to the system.

    Each step frees its activations and the next allocates them again; with mmap every page then
    faults. Measured on two AVX2 cores, M1 at 180x180 without oneDNN: 31 -> 24 CPU-ms
    an image.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        m_trim_threshold, m_top_pad, m_mmap_max, m_arena_max = -1, -2, -4, -8
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_arena_max, 1)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_top_pad, 256 * 2**20)
