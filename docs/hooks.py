"""MkDocs hooks: add the generated pages and resolve links to files outside of `docs/`."""

import re
from pathlib import Path
from typing import Any

import gallery
import reference
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (  # in reading order
    "config spec cli run data demo augment models training distribution evaluation report tracking "
    "sweep comparison prediction system"
).split()
OUTSIDE = {  # files of the repository that are pages of the site
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}


def on_config(config: Any) -> Any:
    """Fills the sections of the navigation that are written as a folder: `reference/`."""
    config.nav = [
        {title: _section(entry) if str(entry).endswith("/") else entry}
        for part in config.nav
        for title, entry in part.items()
    ]
    return config


def _section(folder: str) -> list[str]:
    if folder == "reference/":
        groups = [group.replace("/", "_") for group in reference.group_names()]
        return [f"reference/{name}.md" for name in ("commands", "job", *groups)]
    if folder == "api/":
        return [f"api/{package}.md" for package in PACKAGES]
    found = sorted((ROOT / {"decisions/": "docs"}.get(folder, "") / folder).glob("[0-9][0-9]-*"))
    if folder == "decisions/":
        return ["decisions/index.md", *(f"decisions/{path.name}" for path in found)]
    return ["experiments/index.md", *(f"experiments/{path.name}/index.md" for path in found)]


def on_files(files: Files, config: Any) -> Files:
    """Adds the reference, the API pages, the experiments and the pages from outside of `docs/`."""
    pages = {"reference/job.md": reference.job_page()}
    for group in reference.group_names():
        pages[f"reference/{group.replace('/', '_')}.md"] = reference.config_page(group)
    pages["reference/commands.md"] = reference.commands_page()
    for package in PACKAGES:
        pages[f"api/{package}.md"] = f"# `{package}`\n\n::: melanoma_exp.{package}\n"
    for source, target in OUTSIDE.items():
        pages[target] = (ROOT / source).read_text(encoding="utf-8")
    pages["decisions/index.md"] = gallery.decisions(ROOT / "docs" / "decisions")
    pages["experiments/index.md"] = gallery.page(ROOT / "experiments")
    for readme in sorted((ROOT / "experiments").glob("*/README.md")):
        folder = f"experiments/{readme.parent.name}"
        pages[f"{folder}/index.md"] = readme.read_text(encoding="utf-8")
        for figure in sorted(readme.parent.glob("*.png")):
            path = f"{folder}/{figure.name}"
            files.append(File.generated(config, path, abs_src_path=str(figure)))
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Lets links that hold in the repository hold in the site.

    `docs/*.md` link to `../experiments/02-leak/README.md` and the like, files at the root of the
    repository to `docs/*.md`. A linked file that is marked for inclusion becomes a code block.
    """
    up = "../" * page.file.src_uri.count("/")
    for source, target in OUTSIDE.items():
        markdown = re.sub(rf"\]\((?:\.\./)*{re.escape(source)}", f"]({up}{target}", markdown)
    folder = r"\]\((?:\.\./)*(?:experiments/)?(\d\d-[\w-]+)(?:/README\.md)?\)"
    if not page.file.src_uri.startswith("decisions/"):
        markdown = re.sub(folder, rf"]({up}experiments/\1/index.md)", markdown)
    markdown = re.sub(r"\[`(.+?)`\]\(\.\./\1\)\n<!-- include \1 -->", _code, markdown)
    return markdown.replace("](docs/", f"]({up}")


def _code(found: re.Match[str]) -> str:
    """Returns a file of the repository as a code block, where the page links to it."""
    path = ROOT / found[1]
    language = {".py": "python", ".yaml": "yaml"}[path.suffix]
    return f'```{language} title="{found[1]}"\n{path.read_text(encoding="utf-8")}```'
