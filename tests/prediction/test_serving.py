"""The logged model answers: in this process, and behind MLflow's real server."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from melanoma_exp.prediction import saved_model
from melanoma_exp.prediction.predict import predict
from melanoma_exp.report.console import DISCLAIMER


@pytest.fixture(scope="module")
def expected(finished: Any, images: Path) -> dict[str, Any]:
    """What `predict` says about one image."""
    saved = saved_model.load("small", {name: finished[2] / name for name in saved_model.FILES})
    ((found,), _) = predict(saved, [images / "melanoma" / "melanoma0.png"])
    return {
        "alert": found.alert,
        "alert_probability": pytest.approx(found.alert_probability, abs=1e-6),
        "predicted": found.predicted,
        "validation": saved.decision.sentence,
        "doubts": saved.decision.doubts,
        "error": None,
        "notice": DISCLAIMER,
    }


def test_the_logged_model_answers_one_record_an_image(
    finished: Any, images: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    workdir, run, _ = finished
    mlflow.set_tracking_uri(f"sqlite:///{workdir}/mlruns/mlflow.db")
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert [column.name for column in model.metadata.signature.inputs] == ["image"]
    good = (images / "melanoma" / "melanoma0.png").read_bytes()
    contents = [b"no picture", good, b"", good[:80], b"\0" * (33 * 2**20), good]
    answers = model.predict(pd.DataFrame({"image": contents}))
    assert [bool(answer["error"]) for answer in answers] == [True, False, True, True, True, False]
    for answer in (answers[1], answers[5]):
        assert {key: answer[key] for key in expected} == expected
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
    # Who reads `alert` of a picture that could not be read must fail, not read "no".
    assert all(set(answers[k]) == {"error", "notice"} for k in (0, 2, 3, 4))
    assert "over the limit" in answers[4]["error"]
    with pytest.raises(mlflow.exceptions.MlflowException, match="at most 256 images a request"):
        model.predict(pd.DataFrame({"image": [good] * 257}))
    json.dumps(answers)


@pytest.fixture
def served(finished: Any) -> Iterator[str]:
    """The address of a real server of the logged model, on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workdir, run, _ = finished
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{workdir}/mlruns/mlflow.db",
        # MLflow starts `uvicorn` by name, as in an activated environment.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            f"runs:/{run.info.run_id}/model",
            "--env-manager",
            "local",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def post(address: str, body: Any, kind: str = "application/json") -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.loads(answer.read())["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def records(*contents: bytes) -> dict[str, Any]:
    return {"dataframe_records": [{"image": base64.b64encode(c).decode()} for c in contents]}


@pytest.mark.slow
def test_the_real_server_answers_right_wrong_huge_and_many(
    served: str, images: Path, expected: dict[str, Any]
) -> None:
    good = (images / "melanoma" / "melanoma0.png").read_bytes()
    status, answers = post(served, records(good, b"no picture"))
    assert status == 200
    assert {key: answers[0][key] for key in expected} == expected
    assert set(answers[1]) == {"error", "notice"}
    wrong = [
        (b"hello", "application/json", 400),
        (b"hello", "text/plain", 415),
        ({"dataframe_records": [{"picture": "AAAA"}]}, "application/json", 400),
        ({"dataframe_records": [{"image": None}]}, "application/json", 400),
        (records(*[good] * 257), "application/json", 400),
    ]
    for body, kind, code in wrong:
        assert post(served, body, kind)[0] == code
    status, answers = post(served, records(b"\0" * (40 * 2**20)))
    assert status == 200 and "over the limit" in answers[0]["error"]
    with ThreadPoolExecutor(20) as pool:
        many = list(pool.map(lambda _: post(served, records(good)), range(100)))
    assert all(status == 200 and answers == many[0][1] for status, answers in many)
    assert {key: many[0][1][0][key] for key in expected} == expected
