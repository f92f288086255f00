"""Which class of a run each class of another set is: known for certain, or stated.

A class that is nobody's is refused: guessing it would move every figure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from melanoma_exp.data.class_names import find, key
from melanoma_exp.data.datasets import Dataset
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError, did_you_mean

LEFT_OUT = "-"


@dataclass(frozen=True)
class Mapped:
    """A class of the set.

    Attributes:
        target: The run's class, `LEFT_OUT` where its images do not count.
        why: How that is known, in words.
        images: Of the class.
    """

    target: str
    why: str
    images: int


def read(stated: Sequence[str]) -> dict[str, str]:
    """Reads `SET=RUN,SET=RUN` words.

    Raises:
        UserError: A pair has no `=`, lacks a side, or says two things of one class; a line each.
    """
    found: dict[str, str] = {}
    lines = []
    for pair in (p.strip() for text in stated for p in text.split(",")):
        ours, _, theirs = (side.strip() for side in pair.partition("="))
        if not ours or not theirs:
            lines.append(
                f"--classes: {pair!r} is no pair; write CLASS_OF_THE_SET=CLASS_OF_THE_RUN, or "
                f"CLASS_OF_THE_SET={LEFT_OUT} to leave its images out"
            )
        elif found.setdefault(ours, theirs) != theirs:
            lines.append(f"--classes: {ours} is said to be both {found[ours]} and {theirs}")
    if lines:
        raise UserError(*lines)
    return found


def match(
    samples: Samples,
    known: Sequence[str],
    stated: Mapping[str, str],
    dataset: Dataset,
    trained: Dataset,
) -> dict[str, Mapped]:
    """Returns the run's class for each class of the set that has an image.

    What is stated comes first, then equal names (letter case, spaces, hyphens and underscores make
    no difference), other names of one diagnosis (`bcc`), the official codes of either dataset (`NV`
    is nevus where `dataset.official_classes` says so), and the one class that both call melanoma.

    Args:
        samples: Of the set.
        known: The run's classes.
        stated: By class of the set what it is.
        dataset: The set.
        trained: What the run was trained on.

    Raises:
        UserError: A line for each class that nobody knows, and for each stated one that is not
            there.
    """
    counts = dict(zip(samples.classes, samples.counts().tolist(), strict=True))
    lines = _misnamed(stated, list(counts), known)
    rules: dict[str, Callable[[str], set[str]]] = {
        "stated": lambda name: {stated[name]} & {*known, LEFT_OUT} if name in stated else set(),
        "same name": lambda name: {k for k in known if key(k) == key(name)},
        "same diagnosis": lambda name: set(find([name], known)[0]),
        "official code": lambda name: _by_code(name, known, dataset, trained),
        "both are dataset.melanoma": lambda name: _melanoma(
            name, samples.classes, known, dataset, trained
        ),
    }
    found: dict[str, Mapped] = {}
    unknown = []
    for name, images in counts.items():
        if not images:
            continue
        for why, rule in rules.items():
            if len(targets := rule(name)) == 1:
                found[name] = Mapped(targets.pop(), why, images)
                break
        else:
            unknown += [name] if name not in stated else []
    if unknown:
        lines += [
            f"class {name} of the set ({counts[name]} image{'s' * (counts[name] != 1)}) is none of "
            f"the run's{did_you_mean(name, known)}"
            for name in unknown
        ]
        words = ",".join(f"{name}=CLASS" for name in unknown)
        lines.append(
            f"say what they are with --classes={words!r}, CLASS being one of {', '.join(known)}, "
            f"or {LEFT_OUT} to leave its images out"
        )
    if lines:
        raise UserError(*lines)
    if all(one.target == LEFT_OUT for one in found.values()):
        raise UserError("--classes: leaves out every class of the set: no image is left to judge")
    return found


def relabel(samples: Samples, mapped: Mapping[str, Mapped], known: Sequence[str]) -> Samples:
    """Returns the rows whose class the run knows, labelled as the run's classes."""
    column = {name: k for k, name in enumerate(known)}
    targets = [mapped[c].target if c in mapped else LEFT_OUT for c in samples.classes]
    label = np.array([column.get(target, -1) for target in targets], np.int64)[samples.label]
    return replace(samples, classes=tuple(known), label=label).take(label >= 0)


def _misnamed(stated: Mapping[str, str], classes: Sequence[str], known: Sequence[str]) -> list[str]:
    lines = []
    for ours, theirs in stated.items():
        if ours not in classes:
            guess = did_you_mean(ours, classes)
            lines.append(
                f"--classes: the set has no class {ours} (it has {', '.join(classes)}){guess}"
            )
        if theirs not in (*known, LEFT_OUT):
            guess = did_you_mean(theirs, known)
            lines.append(
                f"--classes: the run has no class {theirs} (it has {', '.join(known)}){guess}"
            )
    return lines


def _by_code(name: str, known: Sequence[str], dataset: Dataset, trained: Dataset) -> set[str]:
    """Returns the run's classes that are `name` by a code of either dataset."""
    codes: Mapping[str, Sequence[str]] = getattr(trained, "official_classes", {})
    found = {k for code, names in codes.items() if key(code) == key(name) for k in names}
    codes = getattr(dataset, "official_classes", {})
    keys = {key(code) for code, names in codes.items() if name in names}
    return (found & set(known)) | {k for k in known if key(k) in keys}


def _melanoma(
    name: str, classes: Sequence[str], known: Sequence[str], dataset: Dataset, trained: Dataset
) -> set[str]:
    """Returns the run's class of melanoma where both have one alone and `name` is it."""
    ours, _ = find(dataset.melanoma, classes)
    theirs, _ = find(trained.melanoma, known)
    return set(theirs) if ours == (name,) and len(theirs) == 1 else set()
