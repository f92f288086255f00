"""Overrides of sweeps and searches: globs, spaces, and those that cannot be read."""

import pytest

from melanoma_exp.cli import overrides
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder


def test_globs_find_options_below_subfolders() -> None:
    conf = conf_folder()
    (word,) = overrides.expand_globs(conf, ["experiment=glob(published/*)"])
    assert word.count(",") == 14 and "published/melanoma_cnn_model_m1" in word
    assert overrides.expand_globs(conf, ["experiment=glob(*)"]) == ["experiment=m1,m2,m3"]
    some = "experiment=glob([m*],exclude=m2)"
    assert overrides.expand_globs(conf, [some]) == ["experiment=m1,m3"]
    both = "experiment=m2,glob(m*),published/upgrad_melonoma_m1"
    expected = ["experiment=m2,m1,m3,published/upgrad_melonoma_m1"]
    assert overrides.expand_globs(conf, [both]) == expected
    assert overrides.expand_globs(conf, ["name=x", "seed=1,2"]) == ["name=x", "seed=1,2"]
    with pytest.raises(UserError, match="finds no option .there are m1, m2"):
        overrides.expand_globs(conf, ["experiment=glob(unpublished/*)"])


def test_overrides_become_a_space() -> None:
    fixed, space = overrides.read_space(
        [
            "seed=1",
            "a=1,2",
            "b=int(interval(1,9))",
            "c=interval(0,0.5)",
            "d=range(2,11,4)",
            "e=tag(log,interval(1e-4,1))",
            "f=[4],[8]",
            "g=1,2",
            "g=3",
        ]
    )
    assert fixed == ["seed=1", "g=3"]  # the last word about a key counts
    assert space["a"] == {"kind": "choice", "values": ["1", "2"]}
    assert space["b"] == {"kind": "whole", "low": 1, "high": 9, "step": 1, "log": False}
    assert space["c"] == {"kind": "real", "low": 0, "high": 0.5, "step": None, "log": False}
    assert space["d"] == {"kind": "whole", "low": 2, "high": 10, "step": 4, "log": False}
    assert space["e"]["log"] and space["f"]["values"] == ["[4]", "[8]"]
    for word in ("a=tag(lag,interval(1,2))", "a=interval(1"):
        with pytest.raises(UserError, match="a="):
            overrides.read_space([word])
