"""What `--help` prints. Reads only the first lines of the YAMLs, so it answers at once."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rich.console import Console

GROUPS = {
    "dataset": "images, labels, groups of images that belong together",
    "split": "what trains, validates, tests",
    "augment": "how an image is varied",
    "balance": "how unequal classes are evened out",
    "model": "the network",
    "distribution": "over which devices",
    "train": "optimizer, schedule, epochs, precision",
    "evaluation": "intervals, alert threshold, prevalence, subgroups",
    "tracking": "where runs are recorded",
    "experiment": "complete recipes of the above",
    "hydra/launcher": "where the jobs of a sweep run",
    "hydra/sweeper": "what the jobs of a sweep are; Hydra's own runs every combination",
}
EXAMPLES = (
    ("melanoma-exp", "M1 on the demo lesions"),
    ("melanoma-exp model=m3 augment=augmentor dry_run=true", "the plan alone"),
    ("melanoma-exp experiment=m2 dataset=isic9 dataset.root=DIR", "a recipe on real images"),
    ("melanoma-exp -m model=m1,m2,m3 seed=1,2,3", "a sweep of nine runs"),
    ("melanoma-exp -m 'experiment=glob(published/*)' hydra.launcher.slots=2", "two jobs at once"),
    ("melanoma-exp model=m2 model.dropout=0.3 --cfg job", "every key of a composed job"),
)
FLAGS = (
    ("-m, --multirun", "run every combination of comma-separated values"),
    ("--cfg job", "print the composed config and stop"),
    ("--shell-completion install=bash", "print what turns on tab completion: eval it"),
    ("--hydra-help", "Hydra's own flags"),
)


def show(conf: Path, commands: Mapping[str, Callable[[list[str]], None]]) -> None:
    """Prints usage, groups with their options, commands, flags and examples.

    Args:
        conf: The folder of YAMLs.
        commands: Their functions by name; the first line of a docstring is shown.
    """
    screen = Console(highlight=False)
    screen.print("Experiments on classifying skin lesions: reproducible, leak-proof, comparable.")
    screen.print("Research software, not a medical device.\n")
    screen.print(r"[bold]usage[/]  melanoma-exp \[group=option] \[group.key=value] ... \[flags]")
    screen.print("       melanoma-exp COMMAND ...  (also: python -m melanoma_exp)\n")
    screen.print("[bold]groups and their options[/]  (* is the default)")
    defaults = _defaults(conf / "config.yaml")
    for group in sorted(_folders(conf), key=lambda name: (list(GROUPS) + [name]).index(name)):
        screen.print(f"[bold cyan]{group}[/]  {GROUPS.get(group, '')}")
        rows = []
        for path in sorted((conf / group).rglob("*.yaml")):
            option = path.relative_to(conf / group).with_suffix("").as_posix()
            star = "*" if defaults.get(group) == option else " "
            rows.append((f"{star} {option}", summary(path)))
        _columns(screen, rows)
    command_rows = [(n, (run.__doc__ or "").splitlines()[0]) for n, run in commands.items()]
    for title, entries in (("commands", command_rows), ("flags", FLAGS), ("examples", EXAMPLES)):
        screen.print(f"[bold]{title}[/]")
        _columns(screen, entries)


def summary(path: Path) -> str:
    """Returns the first comment line of a YAML that is not a directive for Hydra."""
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.lstrip("# ")
        if line.startswith("#") and not text.startswith("@package"):
            return text
    return ""


def _folders(conf: Path) -> list[str]:
    groups = [path.name for path in conf.iterdir() if path.is_dir() and path.name != "hydra"]
    return [*groups, "hydra/launcher", "hydra/sweeper"]


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
