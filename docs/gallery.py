"""Index pages: the experiments with question, figure and verdict, the decisions with theirs."""

import re
from pathlib import Path

INTRODUCTION = """\
# Experiments

What was asked, what came out, and what it does not show. Each page has the exact command and the
numbers; the files lie in `experiments/` of the repository.
"""


def page(folder: Path) -> str:
    """Returns the page.

    Args:
        folder: Holds a folder for each experiment, with a `README.md` that says **Question.** and
            **What it says.**
    """
    entries = [_entry(readme) for readme in sorted(folder.glob("*/README.md"))]
    return "\n".join([INTRODUCTION, *entries])


def decisions(folder: Path) -> str:
    """Returns the index of the decisions: a link and the question of each.

    Args:
        folder: Holds a page for each decision, which says **Question.**
    """
    lines = ["# Decisions", "", "What is expensive to change later, and why it is as it is.", ""]
    for path in sorted(folder.glob("[0-9][0-9]-*.md")):
        text = path.read_text(encoding="utf-8")
        question = " ".join(_paragraph(text, "Question.").split())
        lines.append(f"- [{text.splitlines()[0].removeprefix('# ')}]({path.name}): {question}")
    return "\n".join(lines) + "\n"


def _entry(readme: Path) -> str:
    text = readme.read_text(encoding="utf-8")
    name = readme.parent.name
    title = re.search(r"^# (.+)$", text, re.M)
    figures = re.findall(r"!\[(.*?)\]\((.+?\.png)\)", text)
    figure = figures[0] if figures else _first_figure(readme.parent)
    shown = [f"![{figure[0]}]({name}/{figure[1]})", ""] if figure else []
    return "\n".join(
        [
            f"## [{title[1] if title else name}]({name}/index.md)",
            "",
            f"**Question.** {_paragraph(text, 'Question.')}",
            "",
            *shown,
            f"**Verdict.** {_paragraph(text, 'What it says.')}",
            "",
        ]
    )


def _paragraph(text: str, head: str) -> str:
    """Returns the paragraph that begins with a bold head, its links left out."""
    found = re.search(rf"^\*\*{re.escape(head)}\*\*\s+(.+?)(?:\n\s*\n|\Z)", text, re.M | re.S)
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", found[1]) if found else ""


def _first_figure(folder: Path) -> tuple[str, str] | None:
    found = sorted(folder.glob("*.png"))
    return (found[0].stem, found[0].name) if found else None
