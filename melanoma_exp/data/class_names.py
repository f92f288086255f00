"""What a class is called: spellings of one name, and the names of one diagnosis."""

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

_SPACES = re.compile(r"[\s_]+|(?<=[^\W_])-(?=[^\W_])")
_WHOLE = re.compile(r"^(-?\d+)\.0+$")
# Names and codes of one diagnosis in HAM10000, the ISIC challenges and PAD-UFES-20.
_DIAGNOSES = (
    ("melanoma", "mel", "malignant melanoma"),
    ("basal cell carcinoma", "bcc"),
    ("squamous cell carcinoma", "scc"),
)
_MELANOMA = re.compile(r"melanom")
_MALIGNANT = re.compile(r"melanom|carcinom|malign|lymphom|sarcom")
_NEGATED = re.compile(r"\b(non|not?\b|without\b|benign\b)")


def key(name: str) -> str:
    """Returns what all spellings of a name share.

    Letter case, Unicode form, margins and whether words are joined by a space, an underscore or a
    hyphen make no difference, nor do characters that are not seen. A number that a table
    program wrote as 1.0 is 1.
    """
    text = unicodedata.normalize("NFKC", name)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf").strip()
    text = unicodedata.normalize("NFKC", _SPACES.sub(" ", text).casefold())
    return _WHOLE.sub(r"\1", text)


def unify(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Gives all spellings of a class the one that most images have.

    Args:
        names: The class of each image.

    Returns:
        The class of each image, in Unicode's composed form and without margins; and a note for
        each class that had several spellings.
    """
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        given[key(name)][name] += 1
    shown, notes = {}, []
    for one, counts in sorted(given.items()):
        most = max(counts, key=lambda name: (counts[name], name))
        shown[one] = " ".join(unicodedata.normalize("NFC", most).split())
        if len(counts) > 1:
            forms = len({unicodedata.normalize("NFC", name) for name in counts})
            show = repr if forms == len(counts) else ascii  # else two would look the same
            listed = ", ".join(f"{show(name)} ({n})" for name, n in counts.most_common())
            notes.append(f"spellings of one class, named {shown[one]!r}: {listed}")
    return [shown[key(name)] for name in names], notes


def find(wanted: Collection[str], classes: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Finds classes by any spelling of their name, or by another name of the same diagnosis.

    Args:
        wanted: Names, such as `melanoma`; also finds a class `Melanoma`, and `MEL` where no class
            has the name itself.
        classes: All class names.

    Returns:
        The classes found, in the order of `classes`; and the wanted names without a class.
    """
    found: set[str] = set()
    missing = []
    for name in wanted:
        named = {c for c in classes if key(c) == key(name)}
        others = next((d for d in _DIAGNOSES if key(name) in d), ())
        named = named or {c for c in classes if key(c) in others}
        found |= named
        missing += [] if named else [name]
    return tuple(c for c in classes if c in found), missing


def alert_notes(
    alerts: Mapping[str, tuple[str, ...]],
    wanted: Mapping[str, Collection[str]],
    classes: Sequence[str],
) -> list[str]:
    """Returns what a reader should know of the classes that the alerts are about.

    Args:
        alerts: By name the classes that make it up.
        wanted: By name what the config asks for.
        classes: All class names.
    """
    notes = []
    for name, positive in alerts.items():
        others = [c for c in classes if c not in positive and _may_be(name, wanted[name], c)]
        proposal = ",".join(c for c in classes if c in (*positive, *others))
        question = f'; did you mean "dataset.{name}=[{proposal}]"?' if others else ""
        if name == "melanoma" and not positive:
            notes.append(
                f"no class is melanoma (dataset.melanoma is {', '.join(wanted[name]) or 'empty'}; "
                f"the classes are {', '.join(classes)}): no alert is given for it{question}"
            )
        elif others:
            notes.append(f"not counted as {name}: {', '.join(others)}{question}")
        elif unknown := [n for n in find(wanted[name], classes)[1] if not _is_diagnosis(n)]:
            notes.append(
                f"dataset.{name} names {', '.join(unknown)}, and no class is called that; the "
                f"classes are {', '.join(classes)}"
            )
    return notes


def _is_diagnosis(name: str) -> bool:
    """Whether a name is one that the configs have for every set, whatever its classes."""
    return any(key(name) in names for names in _DIAGNOSES)


def _may_be(alert: str, wanted: Collection[str], name: str) -> bool:
    """Whether a class sounds like one of an alert, or like a name that the config has for it."""
    text = key(name)
    if _NEGATED.search(text):
        return False
    if difflib.get_close_matches(text, map(key, wanted), 1, 0.75):
        return True
    return bool(_MELANOMA.search(text) if alert == "melanoma" else _MALIGNANT.search(text))


def short_names(classes: Sequence[str]) -> list[str]:
    """Returns initials of names of several words, else the first letters; numbers if not unique."""
    names = [
        "".join(word[0] for word in words) if len(words := name.split()) > 1 else name[:3]
        for name in classes
    ]
    names = [name.upper() for name in names]
    return names if len(set(names)) == len(names) else [str(k + 1) for k in range(len(names))]
