"""The command `download` as a user meets it: asked, refused, out of disk, once more."""

import pytest
from offered_sets import archive, refused, words

from melanoma_exp.cli import main
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.download import job, record
from melanoma_exp.spec import UserError

PART_1 = "/ham10000/HAM10000_images_part_1.zip"


def test_nothing_is_fetched_before_the_licence_is_accepted(server, table, tmp_path, capsys):
    folder = tmp_path / "set"
    line = refused(*words(table, folder))
    assert line.endswith("accept it by adding --yes") and not folder.exists()
    assert {range_ for _, range_ in server.asked} == {"bytes=0-0"}
    said = capsys.readouterr().out
    for part in ("HAM10000", "CC BY-NC 4.0", "cite", "KiB to fetch", "free for", "127.0.0.1"):
        assert part in said, part


def test_yes_may_be_typed(table, tmp_path, monkeypatch, capsys):
    class Terminal:
        answers = iter(["no\n", "yes\n"])

        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return next(self.answers)

    monkeypatch.setattr("sys.stdin", Terminal())
    assert "nothing was fetched" in refused(*words(table, tmp_path / "set"))
    COMMANDS["download"](words(table, tmp_path / "set"))
    assert "Do you accept the licence?" in capsys.readouterr().out
    assert (tmp_path / "set" / record.SOURCE).exists()


def test_a_disk_that_is_too_small_is_named_before_anything_is_fetched(
    server, table, tmp_path, monkeypatch
):
    monkeypatch.setattr(job, "free", lambda _: 1000)
    line = refused(*words(table, tmp_path / "set", "--yes"))
    assert line.startswith("--to: 256 MiB are needed and 1.0 KiB are free on the disk of ")
    assert {range_ for _, range_ in server.asked} == {"bytes=0-0"}


def test_a_disk_that_fills_up_is_one_line_and_the_same_command_goes_on(
    server, table, tmp_path, monkeypatch, capsys, disk
):
    place = disk("400k")
    (place / "filler").write_bytes(bytes(350_000))
    monkeypatch.setattr(job, "free", lambda _: 2**40)
    monkeypatch.setattr(
        "sys.argv", ["melanoma-exp", "download", *words(table, place / "set", "--yes")]
    )
    with pytest.raises(SystemExit) as ended:
        main.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert line == (
        f"cannot write in {place / 'set'}: No space left on device; what was fetched is kept: type "
        "the same command again to go on"
    )
    assert not (place / "set" / record.SOURCE).exists()
    (place / "filler").unlink()
    main.main()
    assert (place / "set" / record.SOURCE).exists()


def test_a_complete_folder_is_checked_and_what_is_wrong_is_fetched_alone(
    server, table, tmp_path, capsys
):
    folder = tmp_path / "set"
    COMMANDS["download"](words(table, folder, "--yes"))
    manifest = (folder / record.SUMS).read_bytes()
    server.asked.clear()
    capsys.readouterr()
    COMMANDS["download"](words(table, folder))  # nothing to accept
    said = capsys.readouterr().out
    assert "is complete: 24 images, every checksum holds" in said and not server.asked
    assert "melanoma-exp dataset=ham10000" in said
    (folder / "HAM10000_metadata.csv").write_text("mine")
    assert "nothing was fetched" in refused(*words(table, folder))  # and nothing was removed
    assert (folder / "HAM10000_metadata.csv").read_text() == "mine"
    assert not (folder / record.WORK).exists()
    image = next((folder / "HAM10000_images_part_1").iterdir())
    image.write_bytes(b"damaged")
    (folder / "HAM10000_metadata.csv").unlink()
    COMMANDS["download"](words(table, folder, "--yes"))
    assert "2 files are missing or changed" in capsys.readouterr().out
    assert (folder / record.SUMS).read_bytes() == manifest
    assert not server.ranges("/ham10000/HAM10000_images_part_2.zip")


def test_zips_are_kept_where_that_is_asked_for(table, tmp_path):
    COMMANDS["download"](words(table, tmp_path / "set", "--yes", "--keep-archives"))
    assert "HAM10000_images_part_1.zip" in record.read_sums(tmp_path / "set")
    assert not (tmp_path / "set" / record.WORK).exists()


def test_a_file_that_a_person_put_there_is_taken(server, table, tmp_path):
    folder = tmp_path / "set"
    whole = server.pages.pop(PART_1).body
    line = refused(*words(table, folder, "--yes"))
    assert "the server answers 404" in line and "with a browser from https://doi.org/" in line
    place = folder / record.WORK / "HAM10000_images_part_1.zip"
    assert f"put it at {place} and type the same command again" in line
    place.parent.mkdir(parents=True)
    place.write_bytes(whole)
    COMMANDS["download"](words(table, folder, "--yes"))
    assert (folder / record.SOURCE).exists()


def test_a_folder_of_something_else_is_left_alone(server, table, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    assert "holds other files (thesis.tex)" in refused(*words(table, folder, "--yes"))
    (folder / "thesis.tex").unlink()
    COMMANDS["download"](words(table, folder, "--yes"))
    other = archive(server, tmp_path)
    line = refused("isic", "--collection", "7", "--to", str(folder), "--sources", str(other))
    assert line == f"--to: {folder} holds ham10000; name another folder for isic --collection 7"
    (tmp_path / "file").write_text("")
    assert "is a file; name a folder" in refused(*words(table, tmp_path / "file"))
    assert "Not a directory" in refused(*words(table, tmp_path / "file" / "below"))
    (folder / record.SOURCE).write_text('{"set": 1}')
    assert "source.json: is damaged at set" in refused(*words(table, folder, "--yes"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["ham1000"], "there is no set ham1000 (known: isic9, ham10000"),
        (["isic"], "isic needs --collection ID ..., the numbers of collections"),
        (["ham10000", "--collection", "7"], "--collection is of the set isic alone"),
        (["ham10000", "seed=1"], "takes no overrides (got seed=1)"),
        (["isic", "--collection", "x"], "invalid int value: 'x'"),
        (["ham10000", "--sources", "no.yaml"], "no.yaml: cannot be read: No such file"),
    ],
)
def test_mistakes_are_one_line(asked, said):
    assert said in refused(*asked)


def test_a_table_of_sources_that_is_none_is_named_by_its_keys(tmp_path, table):
    text = table.read_text()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace("http://127", "ftp://127").replace("preset: ham10000", "x: 1"))
    with pytest.raises(UserError) as error:
        COMMANDS["download"](["ham10000", "--sources", str(wrong)])
    lines = error.value.lines
    assert any("sets.ham10000.files.0.url: " in line for line in lines)
    assert any("sets.ham10000.preset: is missing" in line for line in lines)
    wrong.write_text("{: -")
    assert "wrong.yaml: is no YAML" in refused("ham10000", "--sources", str(wrong))
