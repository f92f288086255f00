"""TensorFlow computes with oneDNN wherever this project imports it, unless it is switched off."""

import os
import platform
import subprocess
import sys

import pytest

ASK = "from tensorflow.python.util import _pywrap_util_port as port; print(port.IsMklEnabled())"
RUN = "from melanoma_exp.training import process; process.import_tensorflow()"
JOBS = "import melanoma_exp.sweep.preload"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="about x86 processors")
@pytest.mark.parametrize(
    ("imports", "given", "used"),
    [
        (RUN, None, True),
        pytest.param(JOBS, None, True, marks=pytest.mark.slow),
        (RUN, "0", False),
    ],
)
def test_onednn_is_used_unless_it_is_switched_off(
    imports: str, given: str | None, used: bool
) -> None:
    env = {key: value for key, value in os.environ.items() if key != "TF_ENABLE_ONEDNN_OPTS"}
    env |= {"TF_ENABLE_ONEDNN_OPTS": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}; {ASK}"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == str(used)
