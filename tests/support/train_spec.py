"""The training options of a command line."""

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training.losses import ClassFrequencies
from melanoma_exp.training.spec import Train

THREE = ClassFrequencies.equal(3)


def train_spec(*overrides: str) -> Train:
    """Returns those of words such as `epochs=2` and `/loss=focal`."""
    names = [f"train{o}" if o.startswith("/") else f"train.{o}" for o in overrides]
    return config.parse(compose.compose(conf_folder(), names)).train
