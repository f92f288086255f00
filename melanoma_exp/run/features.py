"""Precomputed features in a run: the head that is trained, its loaders, and the cached entry."""

import time
from typing import TYPE_CHECKING

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.features import FeatureLoader, Features
from melanoma_exp.data.loader import Loader
from melanoma_exp.report import console
from melanoma_exp.report.counter import Counter
from melanoma_exp.spec import UserError
from melanoma_exp.training.checkpoint import SavedCheckpoint
from melanoma_exp.training.transfer.extraction import FrozenNetwork, obtain_features

if TYPE_CHECKING:
    import keras

FACT = "frozen"  # key in the state of a checkpoint


class PrecomputedFeatures:
    """What a run with `train.features` trains on.

    Attributes:
        facts: Kept with every checkpoint.
        head: From features to logits; shares its layers with the network.
    """

    def __init__(
        self, network: "keras.Model", experiment: Experiment, datamodule: DataModule
    ) -> None:
        """Splits the network; computes nothing yet.

        Args:
            network: With the weights that are frozen.
            experiment: What is run.
            datamodule: Its data.

        Raises:
            UserError: The network has no embedding.
        """
        spec = experiment.train.features
        assert spec is not None
        self._spec, self._experiment, self._data = spec, experiment, datamodule.data
        self._frozen = FrozenNetwork(network, experiment.model)
        self._features = Features(datamodule.data.samples, spec.views, self._frozen.size)
        self.head, self.facts = self._frozen.head, {FACT: self._frozen.digest}

    def loader(self, loader: Loader) -> FeatureLoader:
        """Returns the same rows in the same order, as features instead of images."""
        return FeatureLoader.of(loader, self._features)

    def open(self, saved: SavedCheckpoint | None) -> float:
        """Finds the features in the cache or computes them; returns the seconds that took.

        Args:
            saved: The checkpoint that training resumes from.

        Raises:
            UserError: The cache cannot be written, or the run began with other features.
        """
        if saved is not None and saved.state[FACT] != self.facts[FACT]:
            raise UserError(
                "model: the frozen weights are not those that this run began with: restore the "
                "file of pretrained weights or start a new run"
            )
        started = time.perf_counter()
        with Counter(console.console(), "images whose features are computed") as counter:
            obtain_features(
                self._features,
                self._frozen,
                self._spec,
                self._data,
                self._experiment.augment,
                self._experiment.train.precision,
                self._experiment.cache.root(),
                counter.update,
            )
        return time.perf_counter() - started
