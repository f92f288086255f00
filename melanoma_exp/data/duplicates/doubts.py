"""What a survey shows that may be a mistake: pictures that look like masks, groups too large."""

import numpy as np

from melanoma_exp.data.duplicates.survey import Survey
from melanoma_exp.data.samples import Samples

FEW = 20  # images; in smaller sets a group may well be a third of all
LARGE_GROUP = 50  # images; one lesion is rarely photographed more often


def notes(survey: Survey) -> list[str]:
    """Returns a sentence for each."""
    return [*_mask_notes(survey), *_group_notes(survey.samples)]


def _mask_notes(survey: Survey) -> list[str]:
    """Returns a note where pictures look like masks, whatever they are called."""
    found = survey.samples.source[survey.fingerprints.two_tone[survey.samples.image]]
    if not len(found):
        return []
    return [
        f"{len(found)} of {len(survey.samples)} images are black and white alone, as masks and "
        f"segmentations are (first: {found[0]}): move what is no photograph out of the folder"
    ]


def _group_notes(samples: Samples) -> list[str]:
    """Returns a note where one group is so large that it may be a mistake."""
    _, sizes = np.unique(samples.group, return_counts=True)
    largest = int(sizes.max(initial=0))
    most = max(LARGE_GROUP, len(samples) // 50)
    if largest <= (min(most, len(samples) // 3) if len(samples) >= FEW else most):
        return []
    return [
        f"the largest group holds {largest} of {len(samples)} images: are its lesion ids right, or "
        "are the images too plain to be told apart?"
    ]
