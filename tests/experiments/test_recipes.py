"""The recipes go through the whole main job, at a size that a test can afford."""

from pathlib import Path

import pytest
from main_job import main_job

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

# recipe/transfer trains the backbone of tests/run/test_model_options.py, for minutes.
TINY = {
    "scratch": ("model=resnet", "model.widths=[4,8]", "model.blocks=[1,1]", "model.strides=[1,2]"),
    "features": ("model=backbone", "model.weights=null", "train.features.views=2"),
}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", TINY)
def test_a_recipe_runs_resumes_and_predicts(recipe: str, images: Path, tmp_path: Path) -> None:
    words = (f"experiment=recipe/{recipe}", "train.warmup_epochs=0", *TINY[recipe])
    folder, run = main_job(tmp_path, images, *words)
    assert run.data.params["model.name"] == recipe
    assert "views" in (folder / "model_card.md").read_text()


@pytest.mark.parametrize("recipe", ["features", "transfer", "ensemble"])
def test_without_its_pretrained_weights_a_recipe_says_so_before_anything_else(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = config.parse(compose.compose(conf_folder(), [f"experiment=recipe/{recipe}"]))
    with pytest.raises(UserError, match="there is no file .*efficientnet_lite0.npz"):
        found.model.settle(resumed=False)


def test_the_network_from_scratch_has_at_most_five_million_parameters() -> None:
    found = config.parse(compose.compose(conf_folder(), ["experiment=recipe/scratch"]))
    model = found.model.build((*found.dataset.image_size, 3), 7)
    assert model.count_params() < 5e6
