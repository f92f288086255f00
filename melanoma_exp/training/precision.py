"""Which precision a machine computes natively, and what `train.precision: auto` makes of that.

The recorded experiment holds what `auto` chose, so that a run that is repeated or resumed elsewhere
computes in the same precision, natively or not.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from melanoma_exp.spec import UserError
from melanoma_exp.training import process
from melanoma_exp.training.process import ONEDNN
from melanoma_exp.training.spec import Train

CPU_FLAGS = ("amx_bf16", "avx512_bf16")  # of /proc/cpuinfo; oneDNN emulates bfloat16 without them
GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of drivers of NVIDIA, AMD and WSL
GPU_CAPABILITY = (8, 0)  # compute capability from which tensor cores multiply bfloat16 (Ampere)
Capability = tuple[int, int]


def settle(spec: Train) -> tuple[Train, str]:
    """Resolves `auto` on this machine.

    Args:
        spec: As the user gave it.

    Returns:
        The same with a definite precision, and a note on why it was chosen or that it is slow, ""
        where there is nothing to note.

    Raises:
        UserError: This machine does not support the precision.
    """
    if spec.precision == "float32":
        return spec, ""
    gpus = _gpu_capabilities()
    native, reason = native_bfloat16(read_cpuinfo(), gpus, os.environ.get(ONEDNN))
    if spec.precision == "auto":
        chosen = "bfloat16" if native else "float32"
        return spec.model_copy(update={"precision": chosen}), f"{chosen} by auto: {reason}"
    if spec.precision == "float16" and not gpus:
        raise UserError(
            "train.precision=float16 needs a GPU, and this machine has none; use float32, or auto, "
            "which takes bfloat16 where the CPU computes it natively"
        )
    if spec.precision == "bfloat16" and not native:
        return spec, f"bfloat16 is emulated here and many times slower than float32: {reason}"
    return spec, ""


def native_bfloat16(
    cpuinfo: str, gpus: Sequence[Capability], onednn: str | None = None
) -> tuple[bool, str]:
    """Returns whether TensorFlow multiplies bfloat16 natively here, and the evidence.

    Args:
        cpuinfo: The text of /proc/cpuinfo, "" where there is none.
        gpus: The compute capability of each GPU; with any the CPU does not matter.
        onednn: The environment's TF_ENABLE_ONEDNN_OPTS; "0" leaves the CPU to kernels that emulate.
    """
    if gpus:
        least = min(gpus)
        found = f"GPU of compute capability {least[0]}.{least[1]}"
        if least >= GPU_CAPABILITY:
            return True, found
        return False, f"{found}, bfloat16 begins at {GPU_CAPABILITY[0]}.{GPU_CAPABILITY[1]}"
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    flags = next((set(v.split()) for key, _, v in lines if key.strip() == "flags"), set())
    native = [flag for flag in CPU_FLAGS if flag in flags]
    if not native:
        return False, f"the CPU has neither {' nor '.join(CPU_FLAGS)}"
    if onednn == "0":
        return False, f"the CPU has {native[0]}, but TF_ENABLE_ONEDNN_OPTS=0 leaves it unused"
    return True, f"the CPU has {native[0]}"


def read_cpuinfo() -> str:
    """Returns the text of /proc/cpuinfo, "" where there is none."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


def _gpu_capabilities() -> list[Capability]:
    """Returns the capability of each GPU; (0, 0) where TensorFlow does not know it."""
    if sys.platform == "linux" and not any(map(os.path.exists, GPU_FILES)):
        return []  # TensorFlow takes seconds to import
    process.import_tensorflow()
    import tensorflow as tf

    found = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return [(known[0], known[1]) if known else (0, 0) for known in found]
