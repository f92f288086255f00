"""What is to be read from the drawn copies of published sets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import drawn_sets
from drawn_sets import HAM, HELD, N


@dataclass(frozen=True)
class Layout:
    """A published set and what is to be read from it.

    Attributes:
        draw: Writes it into an empty folder.
        classes: All of them.
        parts: Images by official part.
        groups: How many groups the training images are.
        leaks: Columns that tell the class and are refused as inputs.
        inputs: Numeric and categorical columns that are no leak.
    """

    draw: Callable[[Path], None]
    classes: tuple[str, ...]
    parts: Mapping[str, int]
    groups: int
    leaks: tuple[str, ...]
    inputs: tuple[str, str]


LAYOUTS = {
    "ham10000": Layout(
        drawn_sets.ham10000, tuple(HAM), {"train": N}, N // 2, ("dx_type",), ("age", "localization")
    ),
    "isic2018": Layout(
        drawn_sets.isic2018,
        ("AKIEC", "BCC", "BKL", "DF", "MEL", "NV", "VASC"),
        {"train": N, "val": HELD, "test": HELD},
        N // 2,
        ("diagnosis_confirm_type",),
        ("", ""),
    ),
    "isic2019": Layout(
        drawn_sets.isic2019,
        ("AK", "BCC", "BKL", "DF", "MEL", "NV", "SCC", "VASC"),
        {"train": N, "test": 4},
        N // 2,
        (),
        ("age_approx", "sex"),
    ),
    "isic2020": Layout(
        drawn_sets.isic2020,
        ("benign", "melanoma"),
        {"train": N},
        N // 4,
        ("diagnosis", "benign_malignant"),
        ("age_approx", "anatom_site_general_challenge"),
    ),
    "isic_archive": Layout(
        drawn_sets.isic_archive,
        ("Basal cell carcinoma", "Nevus", "melanoma"),
        {"train": N - 1},
        N // 4,
        ("diagnosis_1", "diagnosis_2", "diagnosis_confirm_type", "attribution"),
        ("age_approx", "sex"),
    ),
    "pad_ufes": Layout(
        drawn_sets.pad_ufes,
        ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK"),
        {"train": N},
        N // 4,
        ("biopsed",),
        ("age", "region"),
    ),
    "derm7pt": Layout(
        drawn_sets.derm7pt,
        ("basal cell carcinoma", "melanoma", "miscellaneous", "nevus"),
        {"train": N, "val": HELD, "test": HELD},
        N,
        ("seven_point_score", "management", "level_of_diagnostic_difficulty"),
        ("", "location"),
    ),
    "ph2": Layout(
        drawn_sets.ph2,
        ("Atypical Nevus", "Common Nevus", "Melanoma"),
        {"train": N},
        N,
        ("Histological Diagnosis",),
        ("", "White"),
    ),
    "dermamnist": Layout(
        drawn_sets.dermamnist,
        (
            "actinic keratoses and intraepithelial carcinoma",
            "basal cell carcinoma",
            "benign keratosis-like lesions",
            "dermatofibroma",
            "melanocytic nevi",
            "melanoma",
            "vascular lesions",
        ),
        {"train": N, "val": HELD, "test": HELD},
        N,
        (),
        ("", ""),
    ),
}
