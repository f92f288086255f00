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
