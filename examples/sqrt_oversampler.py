"""Oversampling to the square root of the imbalance, as an option of the group `balance`.

Try it: `melanoma-exp extend=examples/sqrt_oversampler.py balance=sqrt_oversampler augment=dihedral`
"""

from typing import Literal

import numpy as np

from melanoma_exp.data.balance.base import Resample, children
from melanoma_exp.data.samples import Samples


class SqrtOversampler(Resample):
    """Adds synthetic children until a class has sqrt(n * largest) images.

    A class a hundred times rarer than the largest is then ten times rarer, as with the square-root
    sampling of Mahajan et al., Exploring the Limits of Weakly Supervised Pretraining, ECCV 2018.
    """

    kind: Literal["sqrt_oversampler"]

    def resample(self, samples: Samples, draw: np.random.Generator) -> Samples:
        """Returns all rows and the children."""
        counts = samples.counts()
        wanted = np.ceil(np.sqrt(counts * counts.max())).astype(np.int64) - counts
        return samples.join(children(samples, wanted, draw))
