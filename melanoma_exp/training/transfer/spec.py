"""The options `train.features` and `train.fine_tuning`."""

from pydantic import Field

from melanoma_exp.augment.base import Policy
from melanoma_exp.augment.none import NoAugment
from melanoma_exp.spec import Spec


class Features(Spec):
    """Freezes everything before the head and computes its outputs once.

    Attributes:
        views: Of each image: the image itself and `views - 1` variants that the policy draws.
            Training reads one of them at random in every epoch, validation the image itself.
        seed: Of the variants. All folds, heads and seeds of a study that share it share the
            features too.
    """

    views: int = Field(ge=1, le=4096)
    seed: int = Field(ge=0, lt=2**32)

    def describe(self) -> str:
        """Returns what the plan says."""
        views = f"{self.views} view{'s' * (self.views > 1)} an image, seed {self.seed}"
        return f"computed once, {views}; only the head is trained"


def check_features(features: Features | None, policy: Policy) -> list[str]:
    """Returns a line for each thing that does not go together with precomputed features.

    Args:
        features: The option, None for training from pixels.
        policy: The augmentation of the run.
    """
    if features is None:
        return []
    lines = []
    if policy.batch:
        mixed = ", ".join(step.kind for step in policy.batch)
        lines.append(
            f"train.features: augment.batch ({mixed}) mixes images, whose features are not a "
            "mixture of theirs; use augment.batch=[] or train.features=null"
        )
    if not policy.online and not isinstance(policy, NoAugment):
        lines.append(
            f"train.features: augment={policy.kind} draws synthetic children only, not views of "
            "every image; use a policy with online: true, or augment=none with "
            "train.features.views=1"
        )
    elif features.views > 1 and not policy.online:
        lines.append(
            f"train.features.views={features.views}: augment={policy.kind} draws no variants; use "
            "another policy or views=1"
        )
    return lines


class FineTuning(Spec):
    """Trains a pretrained network layer by layer.

    Stages are the groups of layers that the network names (`stages`), from its input to its head.

    Attributes:
        head_epochs: In the first so many epochs the head alone is trained.
        trainable_stages: How many of the last stages before the head are trained at all; the others
            keep their weights for good, and their batch norm its statistics. 0 trains the head
            alone, null trains all.
        layer_decay: The learning rate of a stage is that of the stage behind it times this.
        unfreeze_every: Epochs after which one further stage is trained, beginning with the last one
            (gradual unfreezing: Howard and Ruder, ULMFiT, ACL 2018); null trains all at once.
        freeze_norm: Whether batch norm before the head stays as it is in trained stages too: its
            weights, its statistics, and that it normalises by these.
    """

    head_epochs: int = Field(ge=0)
    trainable_stages: int | None = Field(ge=0)
    layer_decay: float = Field(gt=0, le=1)
    unfreeze_every: int | None = Field(ge=1)
    freeze_norm: bool

    def trained(self, epoch: int, stages: int) -> int:
        """Returns how many of the last stages are trained in an epoch, the head among them.

        Args:
            epoch: From 0.
            stages: Of the network.
        """
        most = stages - 1 if self.trainable_stages is None else self.trainable_stages
        if epoch < self.head_epochs:
            return 1
        if self.unfreeze_every is None:
            return 1 + most
        return 1 + min(most, 1 + (epoch - self.head_epochs) // self.unfreeze_every)

    def begin(self, epoch: int, stages: int) -> int:
        """Returns the first epoch of the phase that an epoch belongs to, both from 0."""
        trained = self.trained(epoch, stages)
        return next(k for k in range(epoch + 1) if self.trained(k, stages) == trained)

    def describe(self) -> str:
        """Returns what the plan says."""
        which = {None: "all stages", 0: "the head alone"}.get(
            self.trainable_stages, f"the last {self.trainable_stages} stages and the head"
        )
        parts = [which]
        if self.head_epochs:
            parts.append(f"the head alone for {self.head_epochs} epochs")
        if self.unfreeze_every:
            parts.append(f"one further stage every {self.unfreeze_every} epochs")
        if self.layer_decay != 1:
            parts.append(f"learning rate times {self.layer_decay:g} a stage")
        if self.freeze_norm:
            parts.append("batch norm frozen")
        return ", ".join(parts)
