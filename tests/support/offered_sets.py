"""Puts small drawn sets on a web server, packed as their publishers hand them out."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import drawn_sets
import pytest
import yaml
from drawn_sets import N, isic, picture, write
from web import Page, Web

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.download import sources
from melanoma_exp.spec import UserError

OUTER = "Skin cancer ISIC The International Skin Imaging Collaboration"
PER_PAGE = 5  # images that a page of the archive lists


def isic9(root: Path) -> None:
    """Draws the set of Kaggle and the two tables of ISIC 2019 that know 20 of its images."""
    for k in range(N):
        place = root / OUTER / ("Train" if k < 18 else "Test") / ("melanoma", "nevus")[k % 2]
        picture(place / f"{isic(k)}.jpg", k)
    columns = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
    truth = [[isic(k), *(f"{float(j == k % 2)}" for j in range(9))] for k in range(20)]
    write(root / "ISIC_2019_Training_GroundTruth.csv", columns, truth)
    told = [[isic(k), 50, "anterior torso", f"BCN_{k // 2:07d}", "male"] for k in range(20)]
    columns = "image,age_approx,anatom_site_general,lesion_id,sex"
    write(root / "ISIC_2019_Training_Metadata.csv", columns, told)


DRAWN = {
    "isic9": isic9,
    "ham10000": drawn_sets.ham10000,
    "isic2018": drawn_sets.isic2018,
    "isic2019": drawn_sets.isic2019,
    "isic2020": drawn_sets.isic2020,
}


def offer(server: Web, name: str, root: Path) -> Path:
    """Draws a set and serves it under the names of the real table.

    Args:
        server: Serves it at /NAME/FILE.
        name: Of the set.
        root: A folder to draw in.

    Returns:
        A table of sources with addresses on the server.
    """
    DRAWN[name](root)
    for path in root.glob("*.tab"):  # the original of what the Dataverse converts
        path.with_suffix(".csv").write_text(path.read_text().replace("\t", ","))
    content = yaml.safe_load(sources.TABLE.read_text())
    for remote in content["sets"][name]["files"]:
        remote |= {"bytes": None, "digest": None, "url": f"{server.url}/{name}/{remote['name']}"}
        page = (
            _packed(root, remote) if remote["unpack_to"] else (root / remote["name"]).read_bytes()
        )
        server.pages[f"/{name}/{remote['name']}"] = Page(page)
    content["sets"][name]["images"] = None
    content["archive"]["api"] = f"{server.url}/api/v2/"
    return written(root.parent / f"{name}.yaml", content)


def written(path: Path, content: Any) -> Path:
    """Writes a table of sources."""
    path.write_text(yaml.safe_dump(content))
    return path


def _packed(root: Path, remote: dict[str, Any]) -> bytes:
    """Returns the ZIP of the real name: flat where it goes to a folder of its own."""
    stem, into = Path(remote["name"]).stem, remote["unpack_to"]
    inside = {"skin-cancer9-classesisic": OUTER, "ISIC_2020_Training_JPEG": "train"}.get(stem, stem)
    start = root / into if into != "." else root
    paths = sorted((start if into != "." else root / inside).rglob("*"))
    if any((root / inside / inside).glob("*")):  # unpacked to one folder too many
        start, paths = root / inside, sorted((root / inside / inside).rglob("*"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in paths:
            if path.is_file():
                archive.write(path, path.relative_to(start).as_posix())
    return buffer.getvalue()


def archive(server: Web, root: Path, count: int = N) -> Path:
    """Serves an ISIC Archive with one collection, number 7, as its API answers.

    Two images are of one lesion, four of one patient, and every third has another licence.

    Args:
        server: Serves it.
        root: A folder for the table.
        count: How many images it has.

    Returns:
        A table of sources with its address.
    """
    images = [_image(server, k) for k in range(count)]

    def search(query: dict[str, list[str]]) -> Page:
        words = query.get("query", [""])[0]
        asked = set(re.findall(r"isic_id:(\w+)", words))
        found = [i for i in images if i["isic_id"] in asked] if words else images
        start = int(query.get("cursor", ["0"])[0])
        rest = found[start + PER_PAGE :]
        following = "&".join(
            f"{key}={value[0].replace(' ', '+')}" for key, value in query.items() if key != "cursor"
        )
        content = {
            "count": None if start else len(found),
            "next": f"{server.url}/api/v2/images/search/?{following}&cursor={start + PER_PAGE}"
            if rest
            else None,
            "previous": None,
            "results": found[start : start + PER_PAGE],
        }
        return _json(content)

    server.answers["/api/v2/images/search/"] = search
    server.pages["/api/v2/collections/7/"] = _json({"id": 7, "name": "Drawn", "public": True})
    for licence in ("CC-0", "CC-BY", "CC-BY-NC"):
        path = f"/api/v2/zip-download/license-file/{licence}/"
        server.pages[path] = Page(f"{licence} in full\n".encode(), kind="text/plain")
    content = yaml.safe_load(sources.TABLE.read_text())
    content["archive"]["api"] = f"{server.url}/api/v2/"
    return written(root / "isic.yaml", content)


def _image(server: Web, k: int) -> dict[str, Any]:
    buffer = io.BytesIO()
    drawn_sets.pixels(k).save(buffer, "JPEG")
    path = f"/images/{isic(k)}.jpg"
    server.pages[path] = Page(buffer.getvalue(), kind="image/jpeg")
    kinds = ("Nevus", "Melanoma, NOS", "Melanoma in situ", "Basal cell carcinoma")
    clinical = {
        "diagnosis_1": ("Benign", "Malignant")[k // 2 % 4 > 0],
        "diagnosis_3": kinds[k // 2 % 4],
        "age_approx": 50,
        "sex": "female",
        "lesion_id": f"IL_{k // 2:07d}",
        "patient_id": f"IP_{k // 4:07d}",
    }
    return {
        "isic_id": isic(k),
        "public": True,
        "copyright_license": ("CC-BY", "CC-BY-NC")[k % 3 == 0],
        "attribution": f"Clinic {k % 3}",
        "files": {
            "full": {"url": server.url + path, "size": len(buffer.getvalue())},
            "thumbnail_256": {"url": server.url + path, "size": 1},
        },
        "metadata": {"acquisition": {"pixels_x": 16, "pixels_y": 12}, "clinical": clinical},
    }


def _json(content: Any) -> Page:
    return Page(json.dumps(content).encode(), kind="application/json")


def words(table: Path, folder: Path, *more: str) -> list[str]:
    """Returns the words after `download` that fetch HAM10000."""
    return ["ham10000", "--to", str(folder), "--sources", str(table), *more]


def refused(*asked: str) -> str:
    """Returns the one line in which `download` refuses its words."""
    with pytest.raises(UserError) as error:
        COMMANDS["download"](list(asked))
    (line,) = error.value.lines
    return line
