"""Reads configs that earlier versions recorded, and keeps digests of equal experiments equal.

An `experiment.json` names the schema of its keys. What each schema changed stands in `CHANGES`; an
older file is brought up to date one schema at a time. The same changes, undone, give the content
that is hashed: an experiment that an earlier version could express has the digest it had there.
"""

import json
from collections.abc import Mapping
from typing import NoReturn

from melanoma_exp import __version__
from melanoma_exp.spec import UserError
from melanoma_exp.system.changes import (
    Added,
    AddedGroup,
    AddedToStep,
    Change,
    Content,
    Losses,
    Renamed,
    Revalued,
    WeightDecayOn,
)

SCHEMA, VERSION = "schema_version", "melanoma_exp"  # keys of an experiment.json

MONITORS = {"val_loss": "val/loss", "val_accuracy": "val/accuracy"}
HAM10000: Content = {  # keys that dataset=ham10000 did not have, with what they were
    "joined": [],
    "part_tables": {},
    "id_column": "image_id",
    "label_column": "dx",
    "one_hot": [],
    "label_map": {},
    "group_columns": ["lesion_id"],
    "part_column": None,
    "row_column": None,
}
INFERENCE = {"views": "none", "scales": [1.0], "prior_correction": "none"}
# For each schema before this one: who wrote it, and what the next one changed.
CHANGES: tuple[tuple[str, tuple[Change, ...]], ...] = (
    (
        "0.1.0",
        (
            Added("extend", []),
            Added("cache.max_gib", None),
            Added("augment.batch", []),
            Added("train.fused", True),
            Added("evaluation.figures", True),
            Added("evaluation.objective", "val/balanced_accuracy"),
            Added("evaluation.metrics", []),
            Revalued("train.early_stopping.monitor", MONITORS),
            Revalued("train.plateau.monitor", MONITORS),
        ),
    ),
    (
        "0.2.0",
        (
            AddedGroup("inference", INFERENCE),
            Added("train.features", None),
            Added("train.fine_tuning", None),
            Added("split.train_per_class", None),
            Losses(),
            WeightDecayOn(),
            Added("train.final_fraction", 0.0),
            AddedGroup("train.restarts", {"first_epochs": 10.0, "factor": 2.0}),
            AddedGroup("train.one_cycle", {"rise": 0.3, "start_fraction": 0.04}),
            Added("train.ema_warmup", False),
            Added("train.ema_bn_batches", None),
            Added("train.swa", None),
            Added("balance.from_epoch", 1, ("class_weight", "sampling")),
            AddedToStep("colour", "gain", [0.0, 0.0]),
            Added("dataset.inputs", None),
            Added("dataset.same_lesion", "off"),
            Added("dataset.decisions", None),
            Added("dataset.group_folders", True, ("folder", "isic9")),
            # Where a CSV had no patients, which none that came with the set had, nothing changed.
            Added("dataset.patient_column", "patient_id", ("isic9",)),
            Added("dataset.patient_column", None, ("folder",)),
            Added("evaluation.report", True),
            Added("split.official_val", True, ("holdout",)),
            Renamed("dataset.csv", "dataset.table", ("ham10000",)),
            *(Added(f"dataset.{key}", value, ("ham10000",)) for key, value in HAM10000.items()),
        ),
    ),
)
CURRENT = len(CHANGES)
LARGEST = 2**24  # characters of an experiment.json; an ensemble's has a few thousand a member


def stamp(content: Content) -> Content:
    """Returns content with its schema and the version that writes it, first."""
    return {SCHEMA: CURRENT, VERSION: __version__, **content}


def read(text: str, file: str) -> Content:
    """Returns the content of a recorded file, as its version wrote it.

    Args:
        text: JSON.
        file: Its name, for the message.

    Raises:
        UserError: It is no object of JSON, too deep or too long to be one that a run recorded, or
            holds what no file may: numbers that are none, halves of characters.
    """
    if len(text) > LARGEST:
        raise UserError(f"{file}: is damaged: it has {len(text)} characters, over {LARGEST}")
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is damaged: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{file}: is damaged: it holds no experiment")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def upgrade(content: Content, file: str) -> Content:
    """Returns the content of a recorded file under today's keys.

    Args:
        content: Its content; without a schema it is of the first one.
        file: Its name, for the message.

    Raises:
        UserError: A newer version wrote it.
    """
    content = json.loads(json.dumps(content))
    schema, version = content.pop(SCHEMA, 0), content.pop(VERSION, "unknown")
    if not isinstance(schema, int) or not 0 <= schema <= CURRENT:
        raise UserError(
            f"{file}: was written by melanoma_exp {version} (schema {schema}); this version, "
            f"{__version__}, reads schemas up to {CURRENT}: use one that reads schema {schema}"
        )
    # Until its release the newest schema grows: a file that has it may be from before a change.
    for _, changes in CHANGES[min(schema, CURRENT - 1) :]:
        for change in changes:
            change.apply(content)
    return content


def written_by(content: Content) -> str:
    """Returns the version that wrote a file of an earlier schema, "" for one of today's."""
    schema = content.get(SCHEMA, 0)
    return CHANGES[schema][0] if isinstance(schema, int) and 0 <= schema < CURRENT else ""


def downgrade(content: Content) -> Content:
    """Returns content under the keys of the first schema, as far as it has them; for digests."""
    content = json.loads(json.dumps(content))
    for _, changes in reversed(CHANGES):
        for change in reversed(changes):
            change.revert(content)
    return content


def upgrade_params(params: Mapping[str, str]) -> dict[str, str]:
    """Returns the parameters of a tracked run under today's keys; other runs' as they are."""
    params = dict(params)
    for _, changes in CHANGES if "seed" in params else ():
        for change in changes:
            change.apply_to_params(params)
    return params
