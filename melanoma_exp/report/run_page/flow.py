"""How the images of a set became the parts of a run, from its split and its parameters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from melanoma_exp.report.run_page.record import RunRecord
from melanoma_exp.system import shown

# What a run records of its choices about files and labels, and what it means for the images.
REASONS = {
    "data.images_without_official_label": "without an official label",
    "data.copies_left_out": "further copies of an image",
    "data.conflicts_left_out": "under two labels",
}
NAMES = {"train": "training", "val": "validation", "test": "test", "unused": "in no part"}


@dataclass(frozen=True)
class Flow:
    """Counts of images, from what was found to what was used.

    Attributes:
        found: Image files.
        excluded: Reason and number of those that were left out before the split; none is 0.
        labelled: What was left to split.
        parts: By part its originals; `unused` are in none.
        synthetic: Children that were drawn for training.
        classes: By class its originals by part.
        groups: By part its groups of images that belong together.
    """

    found: int
    excluded: Sequence[tuple[str, int]]
    labelled: int
    parts: Mapping[str, int]
    synthetic: int
    classes: Mapping[str, Mapping[str, int]]
    groups: Mapping[str, int]


def read(record: RunRecord) -> Flow | None:
    """Returns the flow of a run, None where its split is missing."""
    text = record.text("split.csv")
    if text is None:
        return None
    originals: dict[str, tuple[str, str, str]] = {}
    synthetic = 0
    for row in shown.records(text):
        if row["id"] == row["source"]:
            originals[row["source"]] = row["part"], row["label"], row["group"]
        else:
            synthetic += 1
    parts = Counter(part for part, _, _ in originals.values())
    classes: dict[str, Counter[str]] = {}
    groups: dict[str, set[str]] = {}
    for part, label, group in originals.values():
        classes.setdefault(label, Counter())[part] += 1
        groups.setdefault(part, set()).add(group)
    params = record.stored.params
    excluded = [("unreadable", int(record.metric("skipped_files") or 0))]
    excluded += [(reason, int(params.get(key, 0))) for key, reason in REASONS.items()]
    excluded = [(reason, count) for reason, count in excluded if count]
    return Flow(
        found=len(originals) + sum(count for _, count in excluded),
        excluded=excluded,
        labelled=len(originals),
        parts={part: parts[part] for part in NAMES if parts[part] or part != "unused"},
        synthetic=synthetic,
        classes=dict(sorted(classes.items())),
        groups={part: len(found) for part, found in groups.items()},
    )
