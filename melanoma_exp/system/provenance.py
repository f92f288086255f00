"""Where a run comes from: code, packages and machine."""

import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PACKAGES = (
    "melanoma_exp",
    "tensorflow",
    "keras",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "Augmentor",
    "mlflow",
    "hydra-core",
    "pydantic",
    "scikit-learn",
)


def collect() -> dict[str, str]:
    """Returns commit, dirty flag, versions and hardware as flat tags; "unknown" where unknown."""
    tags = {"git_commit": _git("rev-parse", "HEAD") or "unknown"}
    changes = _git("status", "--porcelain")
    tags["git_dirty"] = "unknown" if changes is None else str(bool(changes)).lower()
    for package in PACKAGES:
        try:
            tags[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            tags[f"version.{package}"] = "unknown"
    tags["version.python"] = platform.python_version()
    tags["machine.cpu"] = _cpu()
    tags["machine.cores"] = str(os.cpu_count())
    tags["machine.system"] = platform.platform()
    # Which kernels TensorFlow computes with, and so how the figures are rounded.
    tags["machine.onednn"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")
    return tags


def process() -> str:
    """Returns what identifies this process: host, number, and second of its start."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def is_alive(identity: str) -> bool | None:
    """Whether a process still runs; None where this machine cannot know.

    Args:
        identity: What `process` returned in it.
    """
    host, number, started = (identity.rsplit(":", 2) + ["", ""])[:3]
    if host != socket.gethostname() or not number.isdigit():
        return None
    try:
        found = psutil.Process(int(number))
        # One that has ended stays listed until its parent, in a container process 1, collects it;
        # and a later process may have got the same number.
        ended = found.status() == psutil.STATUS_ZOMBIE
        return not ended and f"{found.create_time():.0f}" == started
    except psutil.NoSuchProcess:
        return False


def _git(*arguments: str) -> str | None:
    """Returns what git says of the checkout this code lies in, None where it is not one."""
    folder = Path(__file__).resolve().parent
    try:
        # The file itself must be tracked: a wheel installed inside some other checkout is not it.
        for command in (("ls-files", "--error-unmatch", Path(__file__).name), arguments):
            done = subprocess.run(
                ["git", *command],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"
