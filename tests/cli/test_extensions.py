"""Options from a user's own file join without a fork, are checked, and are refused in one line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import extension
import numpy as np
import pytest

from melanoma_exp import config
from melanoma_exp.cli import compose, main
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system.extensions import loading
from melanoma_exp.system.installation import conf_folder


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    with extension.forgotten():
        yield


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    return extension.write(tmp_path / "lab")


def composed(*overrides: str) -> config.Experiment:
    return config.parse(compose.compose(conf_folder(), list(overrides)))


def lines(*overrides: str) -> list[str]:
    with pytest.raises(UserError) as error:
        composed(*overrides)
    return list(error.value.lines)


def test_its_classes_are_options_that_survive_their_own_json(lab: Path) -> None:
    experiment = composed(f"extend={lab}", "model=tiny", "augment=darker", "model.filters=3")
    assert experiment.model.kind == "tiny" and experiment.model.filters == 3
    assert type(experiment.augment).__module__ == "my_lab"
    (recorded,) = experiment.extend
    assert (recorded.name, recorded.path) == ("my_lab", lab)
    assert set(recorded.kinds) == {"model=tiny", "augment=darker"}
    assert config.parse_json(experiment.to_json()) == experiment
    assert (
        experiment.flat()["model.filters"] == 3 and recorded.sha256 in experiment.flat()["extend"]
    )


def test_it_is_checked_like_ours_in_the_same_lines(lab: Path) -> None:
    assert lines("model=tiny")[0].startswith(
        "model=tiny: there is no such option (there are backbone, keras_hub, m1"
    )
    word = f"extend={lab}"
    assert lines(word, "model=tiny", "model.filters=0") == [
        "model.filters: should be greater than or equal to 1 (got 0)"
    ]
    assert lines(word, "model=tiny", "+model.filtres=2") == [
        "model.filtres: there is no such key; did you mean model.filters?"
    ]
    assert lines(word, "model=tiny", "model.kind=tinny") == [
        "model.kind: should be one of backbone, cnn, keras_hub, resnet, ensemble, tiny "
        "(got tinny); did you mean tiny?"
    ]
    assert lines(word, "model=tinny")[0].startswith(
        "model=tinny: there is no such option; did you mean tiny?"
    )


def test_the_digest_follows_its_content_and_only_where_it_is_used(
    lab: Path, tmp_path: Path
) -> None:
    used, unused = composed(f"extend={lab}", "model=tiny"), composed(f"extend=[{lab}]")
    assert unused.extend[0].kinds == () and unused.digest == composed().digest
    with extension.forgotten():
        loading._LOADED.clear()
        sys.modules.pop("my_lab"), sys.modules.pop("my_sizes"), sys.path.remove(str(lab.parent))
        moved = extension.write(tmp_path / "moved")
        assert composed(f"extend={moved}", "model=tiny").digest == used.digest
    (lab.parent / "my_sizes.py").write_text("UNITS = 3\n")
    with extension.forgotten():
        loading._LOADED.clear()
        sys.modules.pop("my_lab"), sys.modules.pop("my_sizes")
        assert composed(f"extend={lab}", "model=tiny").digest != used.digest


def test_a_policy_draws_children_in_worker_processes(images: Path, lab: Path, tmp_path) -> None:
    words = ["augment=darker", "augment.online=false", "balance=add_per_class", "balance.count=40"]
    words = [*extension.BASE, *words, f"dataset.root={images}", f"cache.dir={tmp_path / 'cache'}"]
    ready = runner.prepare_data(composed(f"extend={lab}", *words))
    children = ready.plan.samples.take(ready.plan.samples.copy > 0)
    parents = children.take(np.arange(len(children)))
    parents.copy[:] = 0
    drawn, plain = ready.reader.read(children), ready.reader.read(parents)
    assert len(children) == 120 and (drawn <= plain).all() and (drawn < plain).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (\n", r"my_lab.py:1: '\(' was never closed$"),
        ("\nimport no_such_thing\n", "my_lab.py:2: ModuleNotFoundError: No module named 'no_such"),
        ("def f():\n    1 / 0\nf()\n", "my_lab.py:2: ZeroDivisionError: division by zero$"),
        ("raise SystemExit(3)\n", "my_lab.py:1: SystemExit: 3$"),
        ("x = 1\n", "my_lab.py defines no option: a class with kind: Literal"),
        (
            extension.LAB.replace('"tiny"', '"cnn"'),
            "Tiny is a model of kind cnn, as is melanoma_exp.models.cnn.Cnn; choose another kind$",
        ),
        (extension.LAB.replace('Literal["tiny"]', "str"), "my_lab.Tiny needs a field kind: Lit"),
        (extension.LAB.replace("filters: int", "filters: object()"), "my_lab.py:1[0-9]: "),
    ],
)
def test_a_file_that_cannot_join_is_refused_in_one_line(lab: Path, text: str, said: str) -> None:
    lab.write_text(text)
    (line,) = lines(f"extend={lab}", "model=m1")
    assert line.startswith("extend: ") and not said.startswith("my_lab.py:") or str(lab) in line
    with pytest.raises(UserError, match=said):
        raise UserError(line)


def test_a_path_that_is_no_module_is_refused(lab: Path) -> None:
    assert "expected a Python file" in lines("extend=no/such.py")[0]
    assert "expected a Python file" in lines(f"extend={lab.parent}")[0]  # no package
    for name, said in (("numpy.py", "there is another module numpy"), ("my-lab.py", "no name")):
        lab.with_name(name).write_text(extension.LAB)
        assert said in lines(f"extend={lab.with_name(name)}")[0]
    with pytest.raises(UserError, match=r"^extend: should be a file or a list of files .got 3.$"):
        config.parse({"extend": 3})


def test_an_option_of_the_same_name_as_ours_is_refused(lab: Path) -> None:
    (lab.parent / "conf" / "model" / "m1.yaml").write_text("kind: tiny\n")
    assert "rename it: " in lines(f"extend={lab}")[0]


def test_a_package_joins_by_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my_package"
    extension.write(folder)
    text = (folder / "my_lab.py").read_text()
    (folder / "my_lab.py").write_text(text.replace("from my_sizes", "from my_package.my_sizes"))
    (folder / "__init__.py").write_text("from my_package import my_lab\n")
    experiment = composed(f"extend={folder}", "model=tiny")
    assert experiment.extend[0].name == "my_package" and experiment.extend[0].path == folder


def melanoma_exp(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "melanoma_exp", *words],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def test_help_lists_its_options_and_kinds(
    lab: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["melanoma-exp", "--help", f"extend={lab}"])
    main.main()
    shown = capsys.readouterr().out
    assert "a network of one convolution" in shown and str(lab.parent / "conf") in shown
    monkeypatch.setattr("sys.argv", ["melanoma-exp", "model", "--help", f"extend={lab}"])
    main.main()
    shown = capsys.readouterr().out
    assert "One convolution and a linear head. (from my_lab)" in shown and "filters" in shown
    assert "Blocks of convolutions" in shown  # ours stand there too


def test_the_command_line_takes_a_relative_path_and_says_mistakes_without_a_traceback(
    lab: Path,
) -> None:
    done = melanoma_exp("extend=my_lab.py", "model=tiny", "--cfg", "job", cwd=lab.parent)
    assert done.returncode == 0 and "kind: tiny" in done.stdout and str(lab) in done.stdout
    lab.write_text("import no_such_thing\n")
    done = melanoma_exp("extend=my_lab.py", cwd=lab.parent)
    assert done.returncode == 2
    assert done.stderr == (
        f"extend: {lab}:1: ModuleNotFoundError: No module named 'no_such_thing'\n"
    )


def test_an_installed_package_joins_by_its_entry_point(tmp_path: Path) -> None:
    site = tmp_path / "site"
    extension.write(site)
    described = site / "my_lab-1.2.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 1.2\n")
    (described / "entry_points.txt").write_text("[melanoma_exp]\nlab = my_lab\n")
    path = os.pathsep.join([str(site), str(Path(main.__file__).parents[2])])
    done = melanoma_exp("model=tiny", "--cfg", "job", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0 and "kind: tiny" in done.stdout
    code = (
        "from melanoma_exp import config; from melanoma_exp.cli.compose import compose;"
        "from melanoma_exp.system.installation import conf_folder as conf;"
        "print([config.parse(compose(conf(), [f'model={m}'])).extend for m in ('tiny', 'm1')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert "package='my-lab 1.2'" in done.stdout and done.stdout.endswith(", ()]\n"), done.stderr
    (described / "entry_points.txt").write_text("[melanoma_exp]\nlab = gone.module\n")
    done = melanoma_exp("model=m1", "--cfg", "job", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("my-lab 1.2: its entry point lab names no module (gone.module)")


def test_a_process_without_a_command_line_reads_its_environment(lab: Path) -> None:
    words = ["model=tiny", "--cfg", "job"]
    done = melanoma_exp(*words, cwd=lab.parent, MELANOMA_EXP_EXTEND=str(lab))
    assert done.returncode == 0 and "kind: tiny" in done.stdout
