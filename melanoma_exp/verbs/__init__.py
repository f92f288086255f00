"""What the command line does besides training: one module a verb, listed here by name.

A verb takes the words after its name. Its docstring's first line is what `--help` shows. Modules
here import nothing heavy at the top, for `--help` imports them all.
"""

from collections.abc import Callable

from melanoma_exp.verbs.audit import audit
from melanoma_exp.verbs.cache import cache
from melanoma_exp.verbs.compare import compare
from melanoma_exp.verbs.export import export
from melanoma_exp.verbs.launch import launch
from melanoma_exp.verbs.predict import predict
from melanoma_exp.verbs.reconcile import reconcile
from melanoma_exp.verbs.rerun import rerun
from melanoma_exp.verbs.resume import resume
from melanoma_exp.verbs.resume_sweep import resume_sweep
from melanoma_exp.verbs.sync import sync

VERBS: dict[str, Callable[[list[str]], None]] = {
    "rerun": rerun,
    "resume": resume,
    "resume-sweep": resume_sweep,
    "reconcile": reconcile,
    "sync": sync,
    "launch": launch,
    "audit": audit,
    "cache": cache,
    "compare": compare,
    "predict": predict,
    "export": export,
}
