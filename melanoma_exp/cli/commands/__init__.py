"""The commands besides training, by name: one module each.

A command takes the words after its name. The first line of its docstring is what `--help` shows.
These modules import nothing heavy at the top, because `--help` imports them all.
"""

from collections.abc import Callable

from melanoma_exp.cli.commands.audit import audit
from melanoma_exp.cli.commands.cache import cache
from melanoma_exp.cli.commands.compare import compare
from melanoma_exp.cli.commands.download import download
from melanoma_exp.cli.commands.ensemble import ensemble
from melanoma_exp.cli.commands.evaluate import evaluate
from melanoma_exp.cli.commands.export import export
from melanoma_exp.cli.commands.find_lr import find_lr
from melanoma_exp.cli.commands.launch import launch
from melanoma_exp.cli.commands.predict import predict
from melanoma_exp.cli.commands.reconcile import reconcile
from melanoma_exp.cli.commands.recorded.report import report
from melanoma_exp.cli.commands.recorded.runs import runs
from melanoma_exp.cli.commands.recorded.ui import ui
from melanoma_exp.cli.commands.rerun import rerun
from melanoma_exp.cli.commands.resume import resume
from melanoma_exp.cli.commands.resume_sweep import resume_sweep
from melanoma_exp.cli.commands.sync import sync

COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "rerun": rerun,
    "resume": resume,
    "resume-sweep": resume_sweep,
    "reconcile": reconcile,
    "sync": sync,
    "launch": launch,
    "find-lr": find_lr,
    "download": download,
    "audit": audit,
    "cache": cache,
    "ui": ui,
    "runs": runs,
    "report": report,
    "compare": compare,
    "ensemble": ensemble,
    "evaluate": evaluate,
    "predict": predict,
    "export": export,
}
