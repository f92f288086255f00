"""Values that Hydra's grammar cannot read: the message gives what to type, `~` is the home."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from melanoma_exp.cli import compose, words
from melanoma_exp.cli.arguments import Parser
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

READ = ["Bilder: 2024", "C:\\data\\"]  # without quotes too
PATHS = ["archive (1)", "Übung", "x#y", "k=v", "a {b}", "it's", "画像", *READ]


def message(*overrides: str) -> str:
    with pytest.raises(UserError) as refused:
        compose.compose(conf_folder(), ["dataset=folder", *overrides])
    (line,) = refused.value.lines
    return line


@pytest.mark.parametrize("path", PATHS)
def test_what_the_message_says_to_type_is_that_path(path):
    word = f"dataset.root={path}"
    typed = words.quoted(word)
    assert OverridesParser.create().parse_override(typed).value() == path
    if path not in READ:
        assert words.shown(typed) in message(word)


def test_the_quoted_form_stands_in_the_message_as_it_is_typed():
    assert "type \"dataset.root='archive (1)'\"" in message("dataset.root=archive (1)")
    line = message("dataset.root=a,b")
    assert "add -m" in line and "type \"dataset.root='a,b'\"" in line


def test_a_tilde_is_the_home_folder_quoted_or_not(monkeypatch, tmp_path):
    home = tmp_path / "Jörg (2)"
    monkeypatch.setenv("HOME", str(home))
    for word in ("dataset.root=~/data", "dataset.root='~/data'"):
        composed = compose.compose(conf_folder(), ["dataset=folder", word])
        from melanoma_exp import config

        assert config.parse(composed).dataset.root == home / "data"
    assert words.expand_home(["a=x~", "~a", "b=~c/d"]) == ["a=x~", "~a", "b=~c/d"]


def test_predict_takes_a_file_of_any_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("k=v.jpg", "-1.jpg", "seed=1"):
        (tmp_path / name).touch()
    parser = Parser("predict", "", "", reads_run=True)
    parser.add_argument("paths", nargs="+")
    given, overrides = parser.split(["k=v.jpg", "-1.jpg", "seed=1", "tracking=off", "seed=2"])
    assert given.paths == ["k=v.jpg", "./-1.jpg", "seed=1"]
    assert overrides == ["tracking=off", "seed=2"]
