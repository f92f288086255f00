"""`auto` takes bfloat16 where it is native, and what it chose stays with the run."""

import json
from pathlib import Path

import keras
import pytest
from small_run import experiment, runs
from stopped_run import interrupted
from test_training import train_spec, trained

from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.training import precision

SAPPHIRE_RAPIDS = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 amx_tile\n"
ZEN_4 = "flags\t\t: fpu avx2 avx512f avx512_bf16\n"
SKYLAKE = "flags\t\t: fpu avx2 avx512f avx512vl\n"
ZEN_3 = "model name\t: avx512_bf16\nflags\t\t: fpu avx2 fma\n"


@pytest.mark.parametrize(
    ("cpuinfo", "gpus", "onednn", "native", "told"),
    [
        (SAPPHIRE_RAPIDS, [], None, True, "CPU has amx_bf16"),
        (ZEN_4, [], "1", True, "CPU has avx512_bf16"),
        (ZEN_4, [], "0", False, "TF_ENABLE_ONEDNN_OPTS=0 leaves it unused"),
        (SKYLAKE, [], None, False, "neither amx_bf16 nor avx512_bf16"),
        (ZEN_3, [], None, False, "neither"),
        ("", [], None, False, "neither"),
        (ZEN_3, [(8, 0)], None, True, "GPU of compute capability 8.0"),
        (ZEN_3, [(9, 0), (12, 1)], None, True, "capability 9.0"),
        (ZEN_4, [(7, 5)], None, False, "7.5, bfloat16 begins at 8.0"),
        (ZEN_4, [(9, 0), (7, 0)], None, False, "7.0"),
    ],
)
def test_native_bfloat16_is_known_by_the_cpus_flags_or_the_gpus_capability(
    cpuinfo: str, gpus: list, onednn: str | None, native: bool, told: str
) -> None:
    found, reason = precision.native_bfloat16(cpuinfo, gpus, onednn)
    assert found == native and told in reason


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Lets this machine look like one of that CPU and those GPUs."""

    def be(cpuinfo: str, *gpus: tuple[int, int]) -> None:
        monkeypatch.setattr(precision, "read_cpuinfo", lambda: cpuinfo)
        monkeypatch.setattr(precision, "_gpu_capabilities", lambda: list(gpus))

    return be


def test_auto_is_settled_and_what_is_odd_is_said(machine) -> None:
    auto = train_spec("precision=auto")
    machine(ZEN_4)
    spec, said = precision.settle(auto)
    assert spec.precision == "bfloat16" and said.startswith("bfloat16 by auto: the CPU has avx512")
    assert precision.settle(train_spec("precision=bfloat16"))[1] == ""
    machine(ZEN_3)
    spec, said = precision.settle(auto)
    assert spec.precision == "float32" and said.startswith("float32 by auto: the CPU has neither")
    assert "emulated" in precision.settle(train_spec("precision=bfloat16"))[1]
    with pytest.raises(UserError, match="train.precision=float16 needs a GPU"):
        precision.settle(train_spec("precision=float16"))
    machine(ZEN_3, (7, 5))
    assert precision.settle(train_spec("precision=float16")) == (
        train_spec("precision=float16"),
        "",
    )


def test_bfloat16_keeps_weights_and_logits_in_float32_and_learns() -> None:
    weights, history, _ = trained(train_spec("precision=bfloat16", "epochs=3", "batch_size=8"))
    assert {w.dtype.name for w in weights} <= {"float32", "uint32"}  # uint32: dropout's seeds
    other, *_ = trained(train_spec("epochs=3", "batch_size=8"))
    assert any((a != b).any() for a, b in zip(weights, other, strict=True))
    assert history["train/loss"][-1] < history["train/loss"][0]
    keras.config.set_dtype_policy("mixed_bfloat16")
    net = experiment(Path("."), Path("."), "model=m2").model.build((16, 16, 3), 3)
    assert net.output.dtype == "float32" and net.layers[2].compute_dtype == "bfloat16"


def test_a_run_is_recorded_with_what_auto_chose_and_not_resumed_in_another(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine
) -> None:
    auto = "train.precision=auto"
    machine(ZEN_4)
    run_id = interrupted(images, tmp_path, monkeypatch, auto)
    (run,) = runs(tmp_path)
    assert run.data.params["train.precision"] == "bfloat16"
    assert run.data.tags["precision"].startswith("bfloat16 by auto: the CPU has avx512_bf16")
    recorded = Path(run.info.artifact_uri.removeprefix("file://"), "experiment.json")
    assert json.loads(recorded.read_text())["train"]["precision"] == "bfloat16"
    machine(ZEN_3)
    with pytest.raises(UserError) as refused:
        runner.run(experiment(images, tmp_path, auto), tmp_path / "job", {}, run_id)
    assert refused.value.lines[1:] == (
        "train.precision: was bfloat16, is float32",
        "resume with train.precision=bfloat16",
    )
