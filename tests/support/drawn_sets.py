"""Writes small drawn copies of published sets: their own names of files, folders and columns.

Where the names are from stands in the header of `conf/dataset/KIND.yaml`.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

N = 24  # images of the training table; two are of one lesion, four of one patient
HELD = 6  # images of each other part
HAM = ["akiec", "bcc", "bkl", "df", "mel", "nv"]


def pixels(seed: int) -> Image.Image:
    """Returns noise, which is like no other seed's."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8))


def picture(path: Path, seed: int) -> None:
    """Writes noise, which is like no other seed's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels(seed).save(path)


def write(path: Path, heading: str, rows: Iterable[Sequence[object]], separator: str = ",") -> None:
    """Writes a table with a heading like `a,b,c`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerows([heading.split(","), *rows])


def isic(k: int) -> str:
    return f"ISIC_{24306 + k:07d}"


def marks(classes: Sequence[str], k: int) -> list[str]:
    """Returns the one-hot row of lesion k // 2."""
    return ["1.0" if c == classes[k // 2 % len(classes)] else "0.0" for c in classes]


def person(k: int) -> tuple[int, str, str]:
    return 30 + 5 * (k % 7), ("male", "female")[k % 2], ("trunk", "scalp", "back")[k % 3]


def ham10000(root: Path) -> None:
    rows = []
    for k in range(N):
        picture(root / f"HAM10000_images_part_{1 + k % 2}" / f"{isic(k)}.jpg", k)
        rows.append([f"HAM_{k // 2:07d}", isic(k), HAM[k // 2 % 6], "histo", *person(k), "vidir"])
    heading = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset"
    write(root / "HAM10000_metadata.tab", heading, rows, "\t")  # as the Dataverse converts it
    picture(root / "HAM10000_segmentations_lesion_tschandl" / f"{isic(0)}_segmentation.png", 900)


def isic2018(root: Path) -> None:
    classes, start = "MEL,NV,BCC,AKIEC,BKL,DF,VASC".split(","), 0
    for part, n in (("Training", N), ("Validation", HELD), ("Test", HELD)):
        name, ks = f"ISIC2018_Task3_{part}", range(start, start + n)
        for k in ks:
            picture(root / f"{name}_Input" / f"{isic(k)}.jpg", k)
        rows = [[isic(k), *marks(classes, k)] for k in ks]
        truth = root / f"{name}_GroundTruth"
        write(truth / f"{name}_GroundTruth.csv", ",".join(["image", *classes]), rows)
        (truth / "ATTRIBUTION.txt").write_text("as handed out\n")
        start += n
    write(
        root / "ISIC2018_Task3_Training_LesionGroupings.csv",
        "image,lesion_id,diagnosis_confirm_type",
        [[isic(k), f"HAM_{k // 2:07d}", "histopathology"] for k in range(N)],
    )


def isic2019(root: Path) -> None:
    classes = "MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK".split(",")
    heading = ",".join(["image", *classes])
    names = [isic(k) + "_downsampled" * (k % 3 == 0) for k in range(N)]
    for k, name in enumerate(names):
        picture(root / "ISIC_2019_Training_Input/ISIC_2019_Training_Input" / f"{name}.jpg", k)
    known = [[name, *marks(classes[:8], k), "0.0"] for k, name in enumerate(names)]
    write(root / "ISIC_2019_Training_GroundTruth.csv", heading, known)
    told = [[m, 50, "anterior torso", f"BCN_{k // 2:07d}", "male"] for k, m in enumerate(names)]
    columns = "image,age_approx,anatom_site_general,lesion_id,sex"
    write(root / "ISIC_2019_Training_Metadata.csv", columns, told)
    tests = range(N, N + HELD)
    for k in tests:
        picture(root / "ISIC_2019_Test_Input" / f"{isic(k)}.jpg", k)
    held = [
        [
            isic(k),
            *(f"{c == ('SCC', 'UNK', 'MEL')[(k - N) // 2]:.1f}" for c in classes),
            "1.0",
            "0.0",
        ]
        for k in tests
    ]
    heading += ",score_weight,validation_weight"
    write(root / "ISIC_2019_Test_GroundTruth.csv", heading, held)
    columns = "image,age_approx,anatom_site_general,sex"
    write(root / "ISIC_2019_Test_Metadata.csv", columns, [[isic(k), 50, "", ""] for k in tests])


def isic2020(root: Path) -> None:
    rows = []
    for k in range(N):
        picture(root / "train" / f"{isic(k)}.jpg", k)
        bad = k // 4 % 2
        dx = ("nevus", "melanoma")[bad]
        age, sex, site = person(k)
        row = [isic(k), f"IP_{k // 4:07d}", f"IL_{k // 2:07d}", sex, age, site, dx]
        rows.append([*row, ("benign", "malignant")[bad], bad])
    heading = "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge"
    heading += ",diagnosis,benign_malignant,target"
    write(root / "ISIC_2020_Training_GroundTruth_v2.csv", heading, rows)
    for k in range(3):  # without labels
        picture(root / "test" / f"{isic(500 + k)}.jpg", 500 + k)


def isic_archive(root: Path) -> None:
    kinds = [
        ("Benign", "Benign melanocytic proliferations", "Nevus"),
        ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma, NOS"),
        ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma in situ"),
        ("Malignant", "Malignant adnexal epithelial proliferations", "Basal cell carcinoma"),
        ("Benign", "", ""),
    ]
    rows = []
    for k in range(N):
        picture(root / f"{isic(k)}.jpg", k)
        kind = kinds[4 if k == N - 1 else k // 2 % 4]
        age, sex, site = person(k)
        lesion = f"IL_{k // 2:07d}" if k < 8 else ""
        rows.append([isic(k), "A clinic", "CC-BY", age, site, *kind, "histopathology"])
        rows[-1] += ["dermoscopic", lesion, f"IP_{k // 4:07d}", sex]
    heading = "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1"
    heading += ",diagnosis_2,diagnosis_3,diagnosis_confirm_type,image_type,lesion_id,patient_id,sex"
    write(root / "metadata.csv", heading, rows)
    (root / "attribution.txt").write_text("A clinic\n")
    (root / "licenses").mkdir()
    (root / "licenses" / "CC-BY.txt").write_text("a licence\n")


def pad_ufes(root: Path) -> None:
    classes, rows = ("BCC", "NEV", "ACK", "SEK", "SCC", "MEL"), []
    for k in range(N):
        name = f"PAT_{k // 4}_{k // 2}_{k}.png"
        picture(root / f"images/imgs_part_{1 + k % 3}/imgs_part_{1 + k % 3}" / name, k)
        age, sex, site = person(k)
        # The numbers of lesions are those of other patients: they tie nothing to them.
        told = [f"PAT_{k // 4}", k // 2, age, sex.upper(), site.upper(), classes[k // 2 % 6]]
        rows.append([*told, "True", name, "True"])
    heading = "patient_id,lesion_id,age,gender,region,diagnostic,itch,img_id,biopsed"
    write(root / "metadata.csv", heading, rows)


def derm7pt(root: Path) -> None:
    words = ("clark nevus", "melanoma (in situ)", "basal cell carcinoma", "lentigo", "blue nevus")
    rows = []
    for k in range(N + 2 * HELD):
        names = [f"NEL/Nel{k:03d}.jpg", f"NEL/NEL{900 + k}.jpg"]
        for j, name in enumerate(names):
            picture(root / "images" / name, 100 * j + k)
        _, sex, site = person(k)
        told = [k + 1, words[k % 5], k % 8, "absent", "low", "flat", site, sex]
        rows.append([*told, names[1], names[0], "excision", f"C{k}", ""])
    heading = "case_num,diagnosis,seven_point_score,pigment_network,level_of_diagnostic_difficulty"
    heading += ",elevation,location,sex,clinic,derm,management,case_id,notes"
    write(root / "meta/meta.csv", heading, rows)
    parts = {"train": range(N), "valid": range(N, N + HELD), "test": range(N + HELD, N + 2 * HELD)}
    for part, numbers in parts.items():
        write(root / f"meta/{part}_indexes.csv", "indexes", [[k] for k in numbers])


def ph2(root: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    for title in ("PH2 Database", "", "Legends", *[""] * 9):
        sheet.append([title])
    names = ["Common Nevus", "Atypical Nevus", "Melanoma"]
    criteria = ["Asymmetry\n(0/1/2)", "Pigment Network\n(AT/T)", "Dots/Globules\n(A/AT/T)"]
    criteria += ["Streaks\n(A/P)", "Regression Areas\n(A/P)", "Blue-Whitish Veil\n(A/P)"]
    colours = ["White", "Red", "Light-Brown", "Dark-Brown", "Blue-Gray", "Black"]
    sheet.append(["Image Name", "Histological Diagnosis", *names, *criteria, *colours])
    lines = [
        "||   Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry | Pigment Network "
        "| Dots/Globules | Streaks | Regression Areas | Blue-Whitish Veil ||           Colors ||"
    ]
    for k in range(N):
        case = f"IMD{k + 2:03d}"
        folder = root / "PH2 Dataset images" / case
        picture(folder / f"{case}_Dermoscopic_Image" / f"{case}.bmp", k)
        picture(folder / f"{case}_lesion" / f"{case}_lesion.bmp", 300 + k)
        tissue = "Melanoma" if k % 3 == 2 else ""
        told, seen = [k % 3, "AT", "A", "P", "A", "A"], (3, 1 + k % 2)
        marked = ["X" if j == k % 3 else None for j in range(3)]
        shades = ["X" if j in seen else None for j in range(1, 7)]
        sheet.append([case, tissue or None, *marked, *told, *shades])
        middle = " | ".join(f"{cell:>10}" for cell in told)
        shown = "  ".join(map(str, seen))
        lines.append(f"|| {case} || {tissue:22} || {k % 3:18} || {middle} || {shown:>16} ||")
    book.save(root / "PH2_dataset.xlsx")
    legend = (
        "\n\nLegends:\n    Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma\n"
    )
    (root / "PH2_dataset.txt").write_text("\n".join(lines) + legend)


def dermamnist(root: Path) -> None:
    arrays, random = {}, np.random.default_rng(0)
    for part, n in (("train", N), ("val", HELD), ("test", HELD)):
        arrays[f"{part}_images"] = random.integers(0, 255, (n, 28, 28, 3), np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n)[:, None] % 7).astype(np.uint8)
    np.savez_compressed(root / "dermamnist_corrected_28.npz", **arrays)
