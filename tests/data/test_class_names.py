"""One class however it is spelled, melanoma by any of its names, and sets that cannot be learnt."""

import re
import unicodedata
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from melanoma_exp.data import class_names, datamodule
from melanoma_exp.run import summary
from melanoma_exp.spec import UserError

ONE_CLASS = [
    ("Melanoma", "melanoma", "MELANOMA", " melanoma "),
    (
        "basal cell carcinoma",
        "Basal_Cell_Carcinoma",
        "basal-cell carcinoma",
        "basal  cell carcinoma",
    ),
    tuple(unicodedata.normalize(form, "Nävus") for form in ("NFC", "NFD")) + ("NÄVUS",),
    ("1", "1.0", " 1.00"),
    ("nevus", "nevus\N{ZERO WIDTH SPACE}", "nevus\N{NO-BREAK SPACE}", "ｎｅｖｕｓ"),
]
CLASSES = [
    "1",
    "10",
    "1.5",
    "nevus",
    "naevus",
    "nevi",
    "non-nevus",
    "nevus 1",
    "nevus 11",
    "nevus 1-1",
    "grade +",
]


@pytest.mark.parametrize("spellings", ONE_CLASS, ids=lambda s: s[0])
def test_spellings_of_one_class_are_one(spellings):
    names, (note,) = class_names.unify([*spellings, spellings[0], "other"])
    assert len(set(names[:-1])) == 1 and names[-1] == "other"
    assert names[0] == unicodedata.normalize("NFC", spellings[0])  # that of most images
    assert "spellings of one class" in note


def test_other_names_stay_classes_of_their_own():
    assert class_names.unify(CLASSES) == (CLASSES, [])


@pytest.mark.parametrize("name", ["melanoma", "Melanoma", "mel", "MEL", "Malignant_Melanoma"])
def test_melanoma_is_recognised(option, name):
    classes = [name, "NV", "BCC", "SCC", "BKL"]
    alerts = option("dataset", "folder").alerts_among(classes)
    assert alerts == {"melanoma": (name,), "malignant": (name, "BCC", "SCC")}


def test_a_name_itself_goes_before_another_name_of_the_diagnosis(option):
    found = option("dataset", "folder").alerts_among(["mel", "melanoma"])
    assert found["melanoma"] == ("melanoma",)
    found = option("dataset", "ham10000").alerts_among(["akiec", "bcc", "mel", "nv"])
    assert found == {"melanoma": ("mel",), "malignant": ("bcc", "mel")}


def test_a_set_without_melanoma_alerts_on_what_it_has(option):
    found = option("dataset", "folder").alerts_among(["benign", "malignant"])
    assert list(found.items()) == [("malignant", ("malignant",)), ("melanoma", ())]


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (["Melanom", "Nävus"], 'no class is melanoma .*mean "dataset.melanoma=.Melanom."'),
        (["melnoma", "nevus"], 'mean "dataset.melanoma=.melnoma."'),
        (["Malign", "benigno"], "not counted as malignant: Malign; .*malignant=.Malign."),
        (["cat", "dog"], "no class is melanoma .*cat, dog.: no alert is given for it$"),
        (["melanoma", "melanoma in situ", "nevus"], "not counted as melanoma: melanoma in situ"),
        (["melanoma", "nevus", "Merkel cell carcinoma"], "not counted as malignant: Merkel"),
    ],
)
def test_what_is_not_recognised_is_said(folder, classes, said, tmp_path):
    draw(tmp_path, dict.fromkeys(classes, 1))
    notes = folder().load(tmp_path).notes
    assert any(re.search(said, note) for note in notes), notes


def test_a_name_in_the_config_that_no_class_has_is_said(folder, tmp_path):
    draw(tmp_path, dict.fromkeys(["melanoma", "nevus"], 1))
    said = "dataset.{} names lentigo, and no class is called that; the classes are melanoma, nevus"
    spec = folder(malignant=["melanoma", "lentigo", "bcc"])
    assert list(spec.load(tmp_path).notes) == [said.format("malignant")]
    spec = folder(melanoma=["melanoma", "lentigo"])
    assert list(spec.load(tmp_path).notes) == [said.format("melanoma")]


def test_nothing_is_said_of_classes_that_deny_it(folder, tmp_path):
    draw(tmp_path, dict.fromkeys(["melanoma", "non-melanoma", "nonmalignant", "not cancer"], 1))
    assert not folder().load(tmp_path).notes


def draw(tmp_path: Path, counts: dict[str, int]) -> None:
    """Writes images no two of which are alike, by folder."""
    k = 0
    for name, n in counts.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for _ in range(n):
            k += 1
            image = Image.effect_noise((24, 24), 90).convert("RGB")
            image.putpixel((0, 0), (k, k, k))
            image.save(tmp_path / "data" / name / f"{k}.png")


def prepare(option, spec, tmp_path, **split):
    parts = option("split", "holdout", **split)
    chosen = spec, spec.load(tmp_path), parts, option("balance", "none"), option("augment", "none")
    return datamodule.prepare(*chosen, seed=1, cache=tmp_path)


def test_train_and_test_folders_may_spell_a_class_differently(option, folder, tmp_path):
    draw(tmp_path, {"Train/Melanoma": 6, "Train/nevus": 6, "Test/melanoma": 2, "Test/Nevus": 2})
    prepared = prepare(option, folder(), tmp_path)
    assert prepared.classes == ("Melanoma", "nevus")
    assert prepared.parts.test.counts().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("counts", "changes", "said"),
    [
        ({"melanoma": 9}, {}, "training images of 9 are of one class, melanoma: two classes"),
        ({"melanoma": 9}, {"task": "melanoma"}, "are of one class, melanoma"),
        ({"Train/melanoma": 9, "Test/nevus": 3}, {}, "are of one class, melanoma"),
        ({"melanoma": 12, "nevus": 1}, {}, "validation images of 13 are of one class"),
    ],
)
def test_one_class_alone_is_refused_before_training(
    option, folder, tmp_path, counts, changes, said
):
    draw(tmp_path, counts)
    with pytest.raises(UserError, match=said):
        prepare(option, folder(**changes), tmp_path)


def test_one_folder_beside_a_table_says_how_to_name_the_table(option, folder, tmp_path):
    draw(tmp_path, {"images": 9})
    (tmp_path / "data/labels.csv").write_text("image,MEL,NV\n1,1,0\n")
    with pytest.raises(UserError, match=r"dataset.csv=labels.csv .*label_column.*image, MEL, NV"):
        prepare(option, folder(), tmp_path)


def test_classes_that_a_part_lacks_are_noted(option, folder, tmp_path):
    draw(tmp_path, {"Train/a": 5, "Train/b": 5, "Train/melanoma": 1, "Test/a": 2, "Test/b": 2})
    notes = prepare(option, folder(), tmp_path).notes()
    assert "no validation image of: melanoma: no threshold for melanoma, malignant" in notes
    assert "no test image of: melanoma: nothing is known of them there" in notes


@pytest.mark.parametrize(
    ("classes", "alert"), [(("MEL", "NV"), "melanoma"), (("benign", "Malignant"), "malignant")]
)
def test_the_plan_begins_with_an_alert_that_there_is(option, folder, tmp_path, classes, alert):
    draw(tmp_path, dict.fromkeys(classes, 10))
    experiment = SimpleNamespace(dataset=folder(), evaluation=option("evaluation", "default"))
    found, _ = summary.alert_facts(experiment, prepare(option, folder(), tmp_path))
    assert found.startswith(f"for {alert}, chosen on 2 of it and 2 others in validation")
