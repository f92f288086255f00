"""Each set from a drawn copy on a server to a plan of its preset, by the command it prints."""

import csv
import hashlib
import json
import shlex
from pathlib import Path

import pytest
from drawn_sets import HELD, N, isic
from offered_sets import DRAWN, archive, offer
from small_run import SMALL, runs

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.download import record
from melanoma_exp.run import origin, runner
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

IMAGES = {"isic9": N, "ham10000": N, "isic2018": N + 2 * HELD, "isic2019": N + HELD}
PLANNED = {**IMAGES, "isic2019": N + 4}  # without images of UNK
READ = {"isic2020": N, "isic": N}


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def planned(said: str, cache: Path):
    """Loads the dataset of the command that was printed."""
    line = next(line for line in said.splitlines() if line.startswith("  melanoma-exp dataset="))
    words = [word for word in shlex.split(line)[1:] if word != "dry_run=true"]
    experiment = config.parse(compose.compose(conf_folder(), [*words, f"cache.dir={cache}"]))
    return experiment.dataset.load(cache)


@pytest.fixture(params=[*DRAWN, "isic"])
def fetched(request, server, tmp_path, capsys):
    """A set that was fetched: its name, its folder and what was printed."""
    name = request.param
    (tmp_path / "drawn").mkdir()
    table = archive(server, tmp_path)
    if name != "isic":
        table = offer(server, name, tmp_path / "drawn")
    words = [name, "--to", str(tmp_path / "my set"), "--yes", "--sources", str(table)]
    COMMANDS["download"]([*words, *["--collection", "7"] * (name == "isic")])
    return name, tmp_path / "my set", capsys.readouterr().out


def test_the_printed_command_plans_with_the_preset(fetched, tmp_path):
    name, folder, said = fetched
    loaded = planned(said, tmp_path / "cache")
    assert len(loaded.samples) == {**PLANNED, **READ}[name]
    assert "licence" in said and f"images in {folder}" in said
    assert len(set(loaded.samples.group[loaded.samples.official == "train"])) < N  # lesions tie
    # Checksums are of every file, in the form of sha256sum; nothing else and no half file is there.
    sums = record.read_sums(folder)
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert there == {*sums, record.SUMS, record.SOURCE}
    for path, digest in sums.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == digest
    source = json.loads((folder / record.SOURCE).read_text())
    manifest = hashlib.sha256((folder / record.SUMS).read_bytes()).hexdigest()
    assert source["manifest"] == manifest and source["set"] == name and source["licence"]
    # Whom to name and under which licence, for each image.
    named = rows(folder / record.ATTRIBUTION)
    assert len(named) == {**IMAGES, **READ}[name] == source["images"]
    assert all(row["attribution"] and row["copyright_license"] for row in named)
    assert all((folder / row["image"]).is_file() for row in named)


def test_isic9_has_the_metadata_that_its_preset_reads(server, tmp_path, capsys):
    (tmp_path / "drawn").mkdir()
    archive(server, tmp_path)
    table = offer(server, "isic9", tmp_path / "drawn")
    folder = tmp_path / "set"
    COMMANDS["download"](["isic9", "--to", str(folder), "--yes", "--sources", str(table)])
    found = {row["image_id"]: row for row in rows(folder / "metadata.csv")}
    assert len(found) == N
    assert found[isic(0)]["isic2019_label"] == "MEL" and found[isic(1)]["isic2019_label"] == "NV"
    assert found[isic(20)]["isic2019_label"] == ""
    # Of ISIC 2019 where it knows, of the archive where that alone does.
    assert found[isic(0)]["lesion_id"] == found[isic(1)]["lesion_id"] == "BCN_0000000"
    assert found[isic(22)]["lesion_id"] == found[isic(23)]["lesion_id"] == "IL_0000011"
    assert found[isic(0)]["patient_id"] == found[isic(3)]["patient_id"] == "IP_0000000"
    assert found[isic(0)]["sex"] == "male" and found[isic(23)]["sex"] == "female"
    assert found[isic(0)]["copyright_license"] == "CC-BY-NC"
    loaded = planned(capsys.readouterr().out, tmp_path / "cache")
    assert len(loaded.samples) == N and len(set(loaded.samples.group)) == N // 4  # patients
    assert set(loaded.survey.confirmed) >= {("melanoma",), ("nevus",)}


def test_a_collection_is_what_isic_cli_leaves(server, tmp_path):
    table, folder = archive(server, tmp_path), tmp_path / "set"
    words = ["isic", "--collection", "7", "--to", str(folder), "--yes", "--sources", str(table)]
    COMMANDS["download"](words)
    found = rows(folder / "metadata.csv")
    assert [row["isic_id"] for row in found] == [isic(k) for k in range(N)]
    assert found[0]["lesion_id"] == "IL_0000000" and found[4]["patient_id"] == "IP_0000001"
    assert (folder / "licenses/CC-BY-NC.txt").read_text() == "CC-BY-NC in full\n"
    assert not (folder / "licenses/CC-0.txt").exists()
    assert (folder / "attribution.txt").read_text().count("Clinic") == 3


def archive_fails(server, tmp_path, *more: str) -> str:
    table, folder = archive(server, tmp_path), tmp_path / "set"
    words = ["isic", "--collection", "7", *more, "--to", str(folder), "--yes"]
    with pytest.raises(UserError) as error:
        COMMANDS["download"]([*words, "--sources", str(table)])
    (line,) = error.value.lines
    return line


def test_what_the_archive_may_do_wrong(server, tmp_path):
    from web import Page

    line = archive_fails(server, tmp_path, "9")
    assert line.startswith("--collection 9: the ISIC Archive has no public collection of that num")
    cases = {
        "not JSON": (b"<html>", "answers with something else than JSON"),
        "a list": (b"[]", "answers with something else than JSON"),
        "other results": (
            b'{"results": [{"id": 1}], "next": null}',
            "in another form than it used",
        ),
        "no results": (b'{"results": [], "next": null}', "holds no public image"),
        "elsewhere": (b'{"results": [], "next": "https://evil.example/"}', "its next page is else"),
    }
    page = "/api/v2/images/search/"
    for name, (body, said) in cases.items():
        archive(server, tmp_path)
        server.answers.clear()
        server.pages[page] = Page(body)

        def fail(said=said, name=name):
            table = tmp_path / "isic.yaml"
            words = ["isic", "--collection", "7", "--to", str(tmp_path / "x"), "--yes"]
            with pytest.raises(UserError, match=said):
                COMMANDS["download"]([*words, "--sources", str(table)])
            assert not (tmp_path / "x").exists(), name

        fail()
    loop = f'{{"results": [], "next": "{server.url}{page}?a=1"}}'.encode()
    server.pages[page] = Page(loop)
    words = ["isic", "--collection", "7", "--to", str(tmp_path / "x"), "--yes"]
    with pytest.raises(UserError, match="its pages lead back to an earlier one"):
        COMMANDS["download"]([*words, "--sources", str(tmp_path / "isic.yaml")])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>Not found", "bytes instead of"),
        (None, "no image for ISIC_"),
    ],
)
def test_what_is_no_image_never_becomes_one(server, tmp_path, body, said):
    table, path = archive(server, tmp_path), f"/images/{isic(3)}.jpg"
    whole = server.pages[path].body
    server.pages[path].body = body or b"<" * len(whole)
    words = ["isic", "--collection", "7", "--to", str(tmp_path / "set"), "--yes"]
    with pytest.raises(UserError, match=said):
        COMMANDS["download"]([*words, "--sources", str(table)])
    assert not list((tmp_path / "set").glob(f"{isic(3)}*"))
    assert not (tmp_path / "set" / record.SOURCE).exists()
    # The same command goes on: what is there is not fetched again.
    server.pages[path].body = whole
    there = {p.name for p in (tmp_path / "set").glob("*.jpg")}
    server.asked.clear()
    COMMANDS["download"]([*words, "--sources", str(table)])
    again = {path.rpartition("/")[2] for path, _ in server.asked if path.startswith("/images/")}
    assert not again & there and len(again | there) == N


def collection(server, tmp_path) -> Path:
    """Returns the folder of a collection that was fetched."""
    table, folder = archive(server, tmp_path), tmp_path / "set"
    words = ["isic", "--collection", "7", "--to", str(folder), "--yes", "--sources", str(table)]
    COMMANDS["download"](words)
    return folder


def test_source_licence_and_the_checksum_of_the_checksums_are_recorded(server, tmp_path, option):
    folder, noted = collection(server, tmp_path), {}

    class Noted:
        set_tags = noted.update

        def log_dataset(self, *what: object) -> None:
            noted["dataset"] = what

    dataset = option("dataset", "isic_archive", root=folder)
    origin.record(Noted(), dataset, "0123", {"train_images": 3})
    manifest = hashlib.sha256((folder / record.SUMS).read_bytes()).hexdigest()
    assert noted == {
        "source": "https://api.isic-archive.com/collections/, collections 7",
        "source_licence": "CC-BY (16 images), CC-BY-NC (8 images)",
        "source_manifest": manifest,
        "dataset": ("isic_archive", "0123", str(folder), {"train_images": 3}),
    }
    assert record.describe(folder).endswith(f"CC-BY-NC (8 images), checksums {manifest[:16]}")
    (folder / record.SOURCE).write_text("{")
    assert record.tags(folder) == {"source": "source.json is damaged"}
    noted.clear()
    origin.record(Noted(), option("dataset", "demo"), "0123", {})
    assert noted == {"dataset": ("demo", "0123", "generated", {})}


@pytest.mark.slow
def test_a_run_its_plan_and_its_card_say_where_the_images_are_from(server, tmp_path, capsys):
    folder = collection(server, tmp_path)
    overrides = [*SMALL, "dataset=isic_archive", f"dataset.root={folder}", "train.epochs=1"]
    place = [f"cache.dir={tmp_path / 'cache'}", f"tracking.folder={tmp_path / 'mlruns'}"]
    asked = [*(o for o in overrides if o != "dataset=folder"), *place]
    runner.run(config.parse(compose.compose(conf_folder(), asked)), tmp_path, {})
    (run,) = runs(tmp_path)
    tags = run.data.tags
    assert {k: tags[k] for k in record.tags(folder)} == record.tags(folder)
    said = " ".join(capsys.readouterr().out.split())
    assert "CC-BY-NC (8 images), checksums" in said
    card = Path(run.info.artifact_uri.removeprefix("file://")) / "model_card.md"
    assert f"fetched from: {tags['source']}, {tags['source_licence']}" in card.read_text()
