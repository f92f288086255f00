"""Which images a run is on, and where they are from."""

from collections.abc import Mapping

from melanoma_exp.data.datasets.base import Dataset
from melanoma_exp.download.record import tags
from melanoma_exp.tracking.base import Run


def record(run: Run, dataset: Dataset, digest: str, counts: Mapping[str, int]) -> None:
    """Records the dataset: its digest, its folder and, where it was fetched, source and licence.

    Args:
        run: Where to.
        dataset: The option.
        digest: Of its images and labels.
        counts: Images by part.
    """
    root = getattr(dataset, "root", None)
    if known := tags(root):
        run.set_tags(known)
    run.log_dataset(dataset.kind, digest, str(root or "generated"), counts)
