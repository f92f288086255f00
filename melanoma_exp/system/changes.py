"""The kinds of differences between two schemas of a recorded config."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Content = dict[str, Any]
_NOTHING: Any = object()


class Change(Protocol):
    """One difference between two schemas."""

    def apply(self, content: Content) -> None:
        """Brings nested content up to date, in place."""

    def revert(self, content: Content) -> None:
        """Undoes it where the older schema could say the same."""

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Brings the flat parameters of a tracked run up to date, in place."""


@dataclass(frozen=True)
class Added:
    """A key that did not exist, with the value that says what happened without it.

    Attributes:
        kinds: The options of its group that have it; none are all.
    """

    key: str
    value: Any
    kinds: tuple[str, ...] = ()

    def apply(self, content: Content) -> None:
        """Adds it where its group is."""
        for group, name in _group_of(self.key, content):
            if not self.kinds or group.get("kind") in self.kinds:
                group.setdefault(name, self.value)

    def revert(self, content: Content) -> None:
        """Removes it where it says nothing new."""
        for group, name in _group_of(self.key, content):
            added = not self.kinds or group.get("kind") in self.kinds
            if added and group.get(name, _NOTHING) == self.value:
                del group[name]

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Adds it where its group is."""
        above = self.key.rpartition(".")[0]
        there = not above or any(key.startswith(f"{above}.") for key in params)
        if there and (not self.kinds or params.get(f"{above}.kind") in self.kinds):
            params.setdefault(self.key, _text(self.value))


@dataclass(frozen=True)
class AddedGroup:
    """A mapping that did not exist, with the values that say what happened without it."""

    name: str
    values: Mapping[str, Any]

    def apply(self, content: Content) -> None:
        """Adds it."""
        for group, name in _group_of(self.name, content):
            group.setdefault(name, dict(self.values))

    def revert(self, content: Content) -> None:
        """Removes it where it says nothing new."""
        for group, name in _group_of(self.name, content):
            if group.get(name) == self.values:
                del group[name]

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Adds its keys."""
        for key, value in self.values.items():
            above = self.name.rpartition(".")[0]
            if not above or any(known.startswith(f"{above}.") for known in params):
                params.setdefault(f"{self.name}.{key}", _text(value))


@dataclass(frozen=True)
class AddedToStep:
    """A key of a kind of augmentation step that did not exist, with the value that changes nothing.

    Attributes:
        kind: Of the step.
        key: Its last one.
        value: What happened without it.
    """

    kind: str
    key: str
    value: Any

    def apply(self, content: Content) -> None:
        """Adds it to each such step."""
        for step in self._steps(content.get("augment")):
            step.setdefault(self.key, self.value)

    def revert(self, content: Content) -> None:
        """Removes it where it says nothing new."""
        for step in self._steps(content.get("augment")):
            if step.get(self.key, _NOTHING) == self.value:
                del step[self.key]

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Adds it to each such step of the list, which is JSON."""
        if (text := params.get("augment.steps", "")).startswith("["):
            steps = json.loads(text)
            self.apply({"augment": {"steps": steps}})
            params["augment.steps"] = json.dumps(steps)

    def _steps(self, policy: Any) -> Iterator[Content]:
        steps = policy.get("steps", ()) if isinstance(policy, dict) else ()
        yield from (s for s in steps if isinstance(s, dict) and s.get("kind") == self.kind)


@dataclass(frozen=True)
class Renamed:
    """A key that has another name now, beside the old one.

    Attributes:
        kinds: The options of its group that have it; none are all.
    """

    old: str
    new: str
    kinds: tuple[str, ...] = ()

    def apply(self, content: Content) -> None:
        """Renames it."""
        self._move(content, self.old, self.new)

    def revert(self, content: Content) -> None:
        """Gives it its old name."""
        self._move(content, self.new, self.old)

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Renames it."""
        kind = params.get(f"{self.old.rpartition('.')[0]}.kind")
        if self.old in params and (not self.kinds or kind in self.kinds):
            params[self.new] = params.pop(self.old)

    def _move(self, content: Content, old: str, new: str) -> None:
        for group, name in _group_of(old, content):
            if name in group and (not self.kinds or group.get("kind") in self.kinds):
                value = group.pop(name)
                for target, last in _group_of(new, content):
                    target[last] = value


@dataclass(frozen=True)
class Revalued:
    """A key whose values have other names now."""

    key: str
    values: Mapping[str, str]

    def apply(self, content: Content) -> None:
        """Gives it its new value."""
        self._replace(content, self.values)

    def revert(self, content: Content) -> None:
        """Gives it its old value."""
        self._replace(content, {new: old for old, new in self.values.items()})

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Gives it its new value."""
        if self.key in params:
            params[self.key] = self.values.get(params[self.key], params[self.key])

    def _replace(self, content: Content, values: Mapping[str, str]) -> None:
        for group, name in _group_of(self.key, content):
            if isinstance(value := group.get(name), str):
                group[name] = values.get(value, value)


@dataclass(frozen=True)
class Losses:
    """`train.label_smoothing` and `train.focal_gamma`, which are keys of `train.loss` now."""

    def apply(self, content: Content) -> None:
        """Makes the loss of them."""
        train = content.get("train", {})
        if "focal_gamma" in train:
            gamma, smoothing = train.pop("focal_gamma"), train.pop("label_smoothing")
            kind = {"kind": "focal", "gamma": gamma} if gamma else {"kind": "cross_entropy"}
            train["loss"] = {**kind, "label_smoothing": smoothing}

    def revert(self, content: Content) -> None:
        """Makes them of a loss that they can describe."""
        train = content.get("train", {})
        loss = train.get("loss", {})
        if loss.get("kind") in ("cross_entropy", "focal"):
            del train["loss"]
            train["focal_gamma"] = loss.get("gamma", 0.0)
            train["label_smoothing"] = loss["label_smoothing"]

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Makes the loss of them."""
        if (gamma := params.pop("train.focal_gamma", None)) is not None:
            focal = float(gamma) > 0
            params["train.loss.kind"] = "focal" if focal else "cross_entropy"
            params |= {"train.loss.gamma": gamma} if focal else {}
            params["train.loss.label_smoothing"] = params.pop("train.label_smoothing")


@dataclass(frozen=True)
class WeightDecayOn:
    """`train.weight_decay_on`: it was `all`, and says nothing without weight decay."""

    key = "train.weight_decay_on"

    def apply(self, content: Content) -> None:
        """Adds it."""
        for train, name in _group_of(self.key, content):
            train.setdefault(name, self._meant(train.get("weight_decay", 0)))

    def revert(self, content: Content) -> None:
        """Removes it where it says nothing new."""
        for train, name in _group_of(self.key, content):
            if train.get(name) == "all" or not train.get("weight_decay"):
                train.pop(name, None)

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Adds it."""
        if (decay := params.get("train.weight_decay")) is not None:
            params.setdefault(self.key, self._meant(float(decay)))

    def _meant(self, decay: float) -> str:
        return "all" if decay else "kernels"


def _text(value: Any) -> str:
    """Returns a value as a tracked run has it among its parameters."""
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _group_of(key: str, content: Content) -> Iterator[tuple[Content, str]]:
    """Gives the dict that holds a key and the key's last word, if there is such a dict."""
    *above, last = key.split(".")
    group: Any = content
    for name in above:
        group = group.get(name) if isinstance(group, dict) else None
    if isinstance(group, dict):
        yield group, last
