"""Makes the page of a run that is recorded in a store, with the images of its dataset."""

from dataclasses import replace
from pathlib import Path

from melanoma_exp import config
from melanoma_exp.data.datasets.base import LoadedDataset
from melanoma_exp.report.run_page import gallery, page
from melanoma_exp.report.run_page.gallery import Thumbnails
from melanoma_exp.report.run_page.record import RunRecord
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive, StoredRun


def make(archive: Archive, run_id: str, cache: Path, images: int, again: str) -> str:
    """Returns the page.

    Args:
        archive: Where the run is recorded.
        run_id: Its id.
        cache: Holds generated and decoded datasets.
        images: To show at most; 0 looks for none.
        again: The words that say where the run is recorded, for commands.

    Raises:
        UserError: There is no such run, or it is one that only judges another.
    """
    stored = archive.run(run_id)
    stored.check_trained()
    found, reason = _thumbnails(archive, stored, cache) if images else (None, "--images 0")
    return page.render(RunRecord(archive, stored), found, reason, images or page.IMAGES, again)


def of_ending(archive: Archive, run_id: str, folder: Path, data: LoadedDataset, again: str) -> str:
    """Returns the page of a run that is about to end; everything but its end is recorded.

    Args:
        archive: Where it is recorded.
        run_id: Its id.
        folder: Holds files of it.
        data: Its dataset.
        again: As of `make`.

    Raises:
        UserError: The store does not answer.
    """
    stored = replace(archive.run(run_id), status="FINISHED")
    record = RunRecord(archive, stored, folder)
    return page.render(record, gallery.thumbnails(data), "", page.IMAGES, again)


def _thumbnails(archive: Archive, stored: StoredRun, cache: Path) -> tuple[Thumbnails | None, str]:
    """Returns what gives the images of a run's dataset, None and why where it is not that."""
    try:
        text = archive.text(stored, "experiment.json")
        data = config.parse_json(text, needs={"dataset"}).dataset.load(cache)
    except UserError as error:
        return None, error.lines[0]
    recorded = stored.tags.get("dataset_digest", "none")
    if data.digest != recorded:
        return None, f"the dataset is another one now (digest {data.digest}, was {recorded})"
    return gallery.thumbnails(data), ""
