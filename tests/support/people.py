"""Metadata of people who have nothing to do with a label, and their encoding."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from melanoma_exp.data.inputs.encoded import encode
from melanoma_exp.data.inputs.spec import Inputs
from melanoma_exp.data.samples import Samples

SPEC = Inputs(numeric=("age",), categorical=("sex", "site"), dropout=0.25, units=4)
SITES = ("back", "face", "leg", "hand")


def people(n: int, seed: int = 0) -> list[dict[str, str]]:
    random = np.random.default_rng(seed)
    return [
        {
            "age": str(random.integers(4, 17) * 5),
            "sex": str(random.choice(["male", "female"])),
            "site": str(random.choice(SITES)),
        }
        for _ in range(n)
    ]


def encoded(samples: Samples, train: Samples, rows: Sequence[Any], spec: Inputs = SPEC) -> Any:
    known = dict(zip(map(str, samples.source), rows, strict=True))
    return encode(spec, samples, train, known, len(samples))
