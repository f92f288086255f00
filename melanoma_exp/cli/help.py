"""What `--help` prints. Reads only the first lines of the YAMLs, so it answers at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from melanoma_exp.spec import Spec

GROUPS = {
    "dataset": "images, labels, groups of images that belong together",
    "split": "which images train, validate and test",
    "augment": "how an image is varied",
    "balance": "how unequal classes are evened out",
    "model": "the network",
    "inference": "which views of an image a prediction is the mean of",
    "distribution": "over which devices",
    "train": "optimizer, schedule, epochs, precision",
    "train/loss": "what training minimises",
    "evaluation": "intervals, alert threshold, prevalence, subgroups",
    "tracking": "where runs are recorded",
    "experiment": "complete recipes of the above",
    "hydra/launcher": "where the jobs of a sweep run",
    "hydra/sweeper": "what the jobs of a sweep are; Hydra's own runs every combination",
    "hydra/sweeper/pruner": "which jobs of a search are given up early",
}
NESTED = tuple(name for name in GROUPS if "/" in name and not name.startswith("hydra/"))
EXAMPLES = (
    ("melanoma-exp", "M1 on the demo lesions"),
    ("melanoma-exp model=m3 augment=augmentor dry_run=true", "the plan alone"),
    ("melanoma-exp experiment=m2 dataset=isic9 dataset.root=DIR", "a recipe on real images"),
    ("melanoma-exp -m experiment=m1,m2,m3 seed=1,2,3", "a sweep of nine runs"),
    ("melanoma-exp -m 'experiment=glob(published/*)' hydra.launcher.slots=2", "two jobs at once"),
    ("melanoma-exp model=m2 model.dropout=0.3 --cfg job", "every key of a composed job"),
    ("melanoma-exp extend=my_lab.py model=my_net", "a network of your own, with conf/ beside it"),
)
FLAGS = (
    ("-m, --multirun", "run every combination of comma-separated values"),
    ("--cfg job", "print the composed config and stop"),
    ("--shell-completion install=bash", "print what turns on tab completion: eval it"),
    ("--version", "print it, and those of TensorFlow, Keras and MLflow"),
    ("--hydra-help", "Hydra's own flags"),
)


def show(roots: Sequence[Path], commands: Mapping[str, Callable[[list[str]], None]]) -> None:
    """Prints usage, groups with their options, commands, flags and examples.

    Args:
        roots: The folders of YAMLs: ours, then those of extensions.
        commands: Their functions by name; the first line of a docstring is shown.
    """
    screen = Console(highlight=False)
    screen.print("Experiments on classifying skin lesions: reproducible, leak-proof, comparable.")
    screen.print("Research software, not a medical device.\n")
    screen.print(r"[bold]usage[/]  melanoma-exp \[group=option] \[group.key=value] ... \[flags]")
    screen.print("       melanoma-exp COMMAND ...  (also: python -m melanoma_exp)")
    screen.print("       melanoma-exp GROUP --help or COMMAND --help says more\n")
    screen.print("[bold]groups and their options[/]  (* is the default)")
    for group in groups(roots):
        _show_options(screen, roots, group)
    rows = [(name, (run.__doc__ or "").splitlines()[0]) for name, run in commands.items()]
    for title, entries in (("commands", rows), ("flags", FLAGS), ("examples", EXAMPLES)):
        screen.print(f"[bold]{title}[/]")
        _columns(screen, entries)


def show_group(
    roots: Sequence[Path], group: str, kinds: "Mapping[str, Mapping[str, type[Spec]]]"
) -> None:
    """Prints one group: its options, and the keys of each kind.

    Args:
        roots: The folders of YAMLs.
        group: Its name.
        kinds: For each key that holds a choice, the class of each kind.
    """
    screen, key = Console(highlight=False), group.replace("/", ".")
    screen.print(f"[bold]usage[/]  melanoma-exp {group}=OPTION {key}.KEY=VALUE ...\n")
    _show_options(screen, roots, group)
    for key, classes in sorted(kinds.items()):
        if classes:
            screen.print(f"[bold]{key}.kind[/]  is one of these, with further keys")
        rows = []
        for kind, cls in classes.items():
            package = cls.__module__.partition(".")[0]
            origin = "" if package == "melanoma_exp" else f" (from {package})"
            keys = ", ".join(name for name in cls.model_fields if name != "kind")
            rows.append((kind, f"{(cls.__doc__ or '').splitlines()[0]}{origin}"))
            rows.append(("", keys or "no further keys"))
        _columns(screen, rows)
    option = next((name for name, _ in option_files(roots, group)), "")
    screen.print(f"[bold]example[/]  melanoma-exp {group}={option} --cfg job", markup=True)


def summary(path: Path) -> str:
    """Returns the first comment line of a YAML that is not a directive for Hydra."""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.lstrip("# ")
        if line.startswith("#") and not text.startswith("@package"):
            return text
    return ""


def _show_options(screen: Console, roots: Sequence[Path], group: str) -> None:
    screen.print(f"[bold cyan]{group}[/]  {GROUPS.get(group, '')}")
    above, _, own = group.rpartition("/") if group in NESTED else ("", "", group)
    default = _defaults(roots[0] / above / ("default.yaml" if above else "config.yaml")).get(own)
    rows = []
    for option, path in option_files(roots, group):
        origin = "" if path.is_relative_to(roots[0]) else f" ({path})"
        rows.append((f"{'*' if option == default else ' '} {option}", summary(path) + origin))
    _columns(screen, rows)


def option_files(roots: Iterable[Path], group: str) -> Iterator[tuple[str, Path]]:
    """Gives the options of a group with their YAMLs, those of groups within it left out."""
    for root in roots:
        within = [root / name for name in GROUPS if name.startswith(f"{group}/")]
        for path in sorted((root / group).rglob("*.yaml")):
            if not any(path.is_relative_to(folder) for folder in within):
                yield path.relative_to(root / group).with_suffix("").as_posix(), path


def groups(roots: Sequence[Path]) -> list[str]:
    """Returns the groups in the order of `GROUPS`, then others by name."""
    there = {path.name for root in roots for path in root.iterdir() if path.is_dir()}
    known = [group for group in GROUPS if group.partition("/")[0] in there]
    return [*known, *sorted(there - set(GROUPS) - {"hydra"})]


def _defaults(config: Path) -> dict[str, str]:
    """Returns the default option of each group, read from the defaults list as text."""
    pairs = [
        line.strip("- \n").removeprefix("override ").split(": ")
        for line in config.read_text().splitlines()
    ]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _columns(screen: Console, rows: Iterable[tuple[str, str]]) -> None:
    rows = list(rows)
    width = max((len(left) for left, _ in rows), default=0)
    for left, right in rows:
        screen.print(f"  {left:<{width}}  {right}", markup=False, soft_wrap=True)
