"""Published sets, each from a small drawn copy of its own layout: rows, parts, plan and run."""

from collections import Counter

import pytest
from drawn_sets import HELD, N, isic, isic2018, isic2020, picture, write
from official_layouts import LAYOUTS
from pydantic import ValidationError
from small_run import SMALL, runs

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.data.datamodule import prepare
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder


@pytest.fixture(scope="module", params=LAYOUTS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def root(kind, tmp_path_factory):
    if kind == "ph2":
        pytest.importorskip("openpyxl")
    folder = tmp_path_factory.mktemp(kind)
    LAYOUTS[kind].draw(folder)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def loaded(kind, root, cache, option):
    return option("dataset", kind, root=root, image_size=(12, 16)).load(cache)


def test_rows_classes_and_parts_are_the_official_ones(kind, loaded):
    samples, expected = loaded.samples, LAYOUTS[kind]
    assert samples.classes == expected.classes
    assert Counter(samples.official.tolist()) == expected.parts
    assert len(set(samples.group[samples.official == "train"])) == expected.groups


def test_the_plan_never_cuts_a_lesion_or_a_patient(kind, root, loaded, cache, option):
    dataset = option("dataset", kind, root=root, image_size=(12, 16))
    split, balance = option("split", "holdout"), option("balance", "none")
    made = prepare(dataset, loaded, split, balance, option("augment", "none"), 0, cache)
    groups = [set(part.group) for _, part in made.parts.items()]
    assert sum(map(len, groups)) == len(set.union(*groups)) and all(groups[:2])
    assert not made.leaky
    official_val = "validation is the official part (6 images)"
    assert (official_val in made.notes()) == ("val" in LAYOUTS[kind].parts)


def test_columns_that_tell_the_class_are_no_inputs_and_are_named(kind, root, option):
    def asked(numeric: list[str], categorical: list[str]) -> object:
        inputs = {"numeric": numeric, "categorical": categorical, "dropout": 0.1, "units": 4}
        return option("dataset", kind, root=root, inputs=inputs)

    spec = option("dataset", kind)
    own = []
    if kind != "dermamnist":  # which has no table
        own = [spec.id_column, spec.label_column, *spec.one_hot, *spec.group_columns]
    for column in filter(None, (*LAYOUTS[kind].leaks, *own)):
        with pytest.raises(ValidationError, match="leaks the label") as refused:
            asked([], [column])
        assert column in str(refused.value)
    numeric, categorical = LAYOUTS[kind].inputs
    if categorical:
        asked([numeric] if numeric else [], [categorical])


@pytest.mark.slow
def test_each_runs_to_its_end(kind, root, tmp_path):
    overrides = [*SMALL, f"dataset={kind}", f"dataset.root={root}", "train.epochs=1"]
    place = [f"cache.dir={tmp_path / 'cache'}", f"tracking.folder={tmp_path / 'mlruns'}"]
    asked = [*(o for o in overrides if o != "dataset=folder"), *place]
    runner.run(config.parse(compose.compose(conf_folder(), asked)), tmp_path, {})
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED"


def test_what_is_left_out_is_counted_by_reason_and_suffix(option, tmp_path):
    LAYOUTS["isic2019"].draw(tmp_path / "2019")
    notes = option("dataset", "isic2019", root=tmp_path / "2019").load(tmp_path / "cache").notes
    assert "dataset.label_map leaves out images that the tables name: 2 UNK" in notes
    LAYOUTS["ham10000"].draw(tmp_path / "ham")
    notes = option("dataset", "ham10000", root=tmp_path / "ham").load(tmp_path / "cache").notes
    assert any("1 images are not used, for their names say masks" in note for note in notes)
    isic2020(tmp_path / "2020")
    notes = option("dataset", "isic2020", root=tmp_path / "2020").load(tmp_path / "cache").notes
    said = "3 image files are not in ISIC_2020_Training_GroundTruth_v2.csv and were ignored (3 .jpg"
    assert any(note.startswith(said) for note in notes)


def test_patients_group_where_lesions_are_not_known_and_both_where_both_are(option, tmp_path):
    isic2020(tmp_path / "data")
    (tmp_path / "data/ISIC_2020_Training_GroundTruth_v2.csv").unlink()
    rows = [[isic(k), f"IP_{k // 3}", "male", "", "", "", "", k % 2] for k in range(N)]
    heading = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge"
    write(tmp_path / "data/train.csv", f"{heading},diagnosis,benign_malignant,target", rows)
    spec = option("dataset", "isic2020", root=tmp_path / "data")
    assert len(set(spec.load(tmp_path / "cache").samples.group)) == N // 3
    rows = [[*row[:2], f"IL_{k // 4}", *row[2:]] for k, row in enumerate(rows)]
    heading = heading.replace("patient_id", "patient_id,lesion_id")
    write(tmp_path / "data/train.csv", f"{heading},diagnosis,benign_malignant,target", rows)
    # Of 3 and of 4 images: through each other 12 are one group.
    assert len(set(spec.load(tmp_path / "cache").samples.group)) == N // 12


def test_a_set_without_its_file_of_lesions_says_so(option, tmp_path):
    isic2018(tmp_path)
    (tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv").unlink()
    loaded = option("dataset", "isic2018", root=tmp_path).load(tmp_path / "cache")
    assert len(loaded.samples) == N + 2 * HELD
    assert any("there is no ISIC2018_Task3_Training_LesionGroupings.csv" in n for n in loaded.notes)
    assert any("no lesions and no patients are known" in note for note in loaded.notes)


def test_another_folder_than_the_sets_is_refused_in_one_line(kind, option, tmp_path):
    picture(tmp_path / "a.png", 0)
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError) as refused:
        option("dataset", kind, root=tmp_path).load(tmp_path / "cache")
    (line,) = refused.value.lines
    seen = "holds no .npz file" if kind == "dermamnist" else "it has mine.csv"
    assert seen in line and str(tmp_path) in line


def test_the_text_and_the_workbook_of_ph2_say_the_same(option, tmp_path):
    pytest.importorskip("openpyxl")
    LAYOUTS["ph2"].draw(tmp_path)
    spec = option("dataset", "ph2", root=tmp_path, image_size=(12, 16))
    text = tmp_path / "PH2_dataset.txt"
    of_text = spec.survey(tmp_path / "cache")
    assert of_text.listing.metadata["IMD004"]["Light-Brown"] == "X"
    written = text.read_text()
    for line, wrong in ((2, "||                  7 ||"), (3, "|| 1 |")):
        lines = written.splitlines()
        lines[line] = "|| IMD003 ||  " + wrong
        text.write_text("\n".join(lines))
        with pytest.raises(
            UserError, match=rf"PH2_dataset\.txt, line {line + 1}: is no case of PH2"
        ):
            spec.survey(tmp_path / "cache")
    text.unlink()
    of_workbook = spec.survey(tmp_path / "cache")
    assert of_workbook.listing.metadata == of_text.listing.metadata
    assert of_workbook.digest == of_text.digest
