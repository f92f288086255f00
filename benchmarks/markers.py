"""How many markers and off-topic pictures the audit finds, of which it drew the ones it counts.

    python benchmarks/markers.py isic9 DIR [CACHE]    # or ham10000 DIR

Prints for each half of the lesions how many images have each marker: limits were chosen on half A.
Then markers are drawn into images of half B that have none, and pages, charts, drawings, grey
pictures, even colours and the two photographs of scikit-learn are mixed into each half. At the end
CPU time. Real rulers are fainter than drawn ones: look at `audit.html` for what is right.
"""

import hashlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

from melanoma_exp.cli.arguments import compose_experiment
from melanoma_exp.data.audit.markers import decide, measured
from melanoma_exp.data.audit.markers.measured import NAMES, Measured
from melanoma_exp.data.image_file import open_rgb

DRAWN = 200  # images into which each marker is drawn
EACH = 20  # off-topic pictures of each sort
WORDS = ("Smith J 12.03.1967", "MUELLER, Anna", "ID 48213", "Pat. 0071-B", "Garcia Maria", "Nr 55")
INKS = ((255, 255, 255), (0, 0, 0), (255, 255, 0), (255, 0, 0), (0, 255, 0))
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
Random = np.random.Generator


def font(name: str, height: float) -> ImageFont.FreeTypeFont:
    """Returns a font whose capitals have a height in pixels."""
    return ImageFont.truetype(
        f"{matplotlib.get_data_path()}/fonts/ttf/{name}", round(height / 0.73)
    )


def text(share: float) -> Callable[[Image.Image, Random], None]:
    """Returns what writes a line whose capitals have a share of the picture's height."""

    def draw(image: Image.Image, random: Random) -> None:
        face = font(str(random.choice(FONTS)), max(image.height * share, 6))
        line, canvas = str(random.choice(WORDS)), ImageDraw.Draw(image)
        box = canvas.textbbox((0, 0), line, font=face)
        x = int(random.integers(2, max(3, image.width - int(box[2]) - 2)))
        y = int(random.choice([2, max(3, image.height - int(box[3]) - 3)]))
        canvas.text((x, y), line, INKS[random.integers(len(INKS))], face)

    return draw


def ruler(image: Image.Image, random: Random) -> None:
    """Draws three to eight ticks at the right side."""
    step, width = image.width * random.uniform(0.04, 0.09), max(1, image.width // 120)
    for k in range(random.integers(3, 9)):
        y, long = image.height * 0.25 + k * step, image.width * (0.05 if k % 5 else 0.08)
        ends = [(image.width - 4 - long, y), (image.width - 4, y)]
        ImageDraw.Draw(image).line(ends, (35, 30, 30), width)


def ink(image: Image.Image, random: Random) -> None:
    """Draws a stroke of a blue or violet pen in a corner."""
    colour = ((60, 40, 190), (40, 70, 170), (110, 40, 180))[random.integers(3)]
    x, y = image.width * random.uniform(0.02, 0.1), image.height * random.uniform(0.1, 0.3)
    ImageDraw.Draw(image).line([(x, y), (x + y, 4)], colour, max(2, image.width // 50))


def corners(image: Image.Image, random: Random) -> None:
    """Blackens what lies outside a circle."""
    y, x = np.mgrid[-1 : 1 : image.height * 1j, -1 : 1 : image.width * 1j]
    inside = np.hypot(x, y) < random.uniform(1.0, 1.2)
    image.paste((6, 6, 6), (0, 0), Image.fromarray(~inside))


def frame(image: Image.Image, random: Random) -> None:
    """Lays a black bar along the upper side."""
    image.paste(
        (0, 0, 0), (0, 0, image.width, max(2, int(image.height * random.uniform(0.02, 0.1))))
    )


MARKERS: dict[str, tuple[str, Callable[[Image.Image, Random], None]]] = {
    **{f"text, {share:.0%} high": (decide.TEXT, text(share)) for share in (0.04, 0.06, 0.08, 0.11)},
    "ruler": (decide.RULER, ruler),
    "ink": (decide.INK, ink),
    "dark corners": (decide.CORNERS, corners),
    "frame": (decide.FRAME, frame),
}


def page(random: Random) -> Image.Image:
    """Draws a page of text."""
    paper = ((255, 255, 255), (250, 248, 240), (238, 238, 238))[random.integers(3)]
    found = Image.new("RGB", (600, 800), paper)
    canvas, face = ImageDraw.Draw(found), font("DejaVuSerif.ttf", 12)
    for y in range(30, 760, 26):
        words = ["".join(map(chr, random.integers(97, 123, n))) for n in random.integers(2, 10, 8)]
        canvas.text((30, y), " ".join(words), (25, 25, 25), face)
    return found


def photographed_page(random: Random) -> Image.Image:
    """Draws a page under uneven light, with noise."""
    pixels = np.asarray(page(random)) * np.linspace(0.8, 1, 600)[None, :, None] * (1, 0.97, 0.9)
    return Image.fromarray(
        np.clip(pixels + random.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)
    )


def chart(random: Random) -> Image.Image:
    """Draws bars, lines or points."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4))
    axes = figure.add_subplot()
    ways = (
        lambda: axes.bar(range(9), random.random(9)),
        lambda: axes.plot(random.normal(size=(50, 3)).cumsum(axis=0)),
        lambda: axes.scatter(*random.normal(size=(2, 300))),
    )
    ways[random.integers(3)]()
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return Image.open(content).convert("RGB")


def drawing(random: Random) -> Image.Image:
    """Draws coloured shapes on an even ground."""
    found = Image.new("RGB", (600, 450), tuple(random.integers(180, 256, 3).tolist()))
    for _ in range(12):
        x, y, side = random.integers(0, 500), random.integers(0, 380), random.integers(20, 150)
        colour = tuple(random.integers(0, 256, 3).tolist())
        ImageDraw.Draw(found).ellipse([x, y, x + side, y + side], colour, (0, 0, 0), 3)
    return found


def grey(random: Random) -> Image.Image:
    """Draws soft grey shapes, as of a radiograph."""
    plane = np.zeros((450, 450), np.float32)
    for _ in range(20):
        middle, axes = random.integers(50, 400, 2).tolist(), random.integers(5, 120, 2).tolist()
        cv2.ellipse(plane, middle, axes, float(random.integers(180)), 0, 360, 0.3, -1)
    plane = cv2.GaussianBlur(plane, (0, 0), 6)
    pixels = plane / plane.max() * 220 + random.normal(0, 4, plane.shape)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).convert("RGB")


def colour(random: Random) -> Image.Image:
    """Returns one colour."""
    return Image.new("RGB", (600, 450), tuple(random.integers(0, 256, 3).tolist()))


def photograph(random: Random) -> Image.Image:
    """Cuts a piece out of one of two photographs: a temple, a flower."""
    found = Image.fromarray(load_sample_images().images[random.integers(2)])
    x, y = random.integers(0, found.width // 2), random.integers(0, found.height // 2)
    return found.crop((x, y, x + found.width // 2, y + found.height // 2))


OFF_TOPIC = (page, photographed_page, chart, drawing, grey, colour, photograph)


def half(name: str) -> int:
    """Returns 0 or 1, the same for all copies of an image."""
    return hashlib.sha256(Path(name).stem.split("(")[0].encode()).digest()[0] % 2


def joined(first: Measured, second: Measured) -> Measured:
    """Returns measures one after another."""
    both = {n: np.concatenate([getattr(first, n), getattr(second, n)]) for n in NAMES}
    return Measured(**both)


def of_images(images: list[Image.Image]) -> Measured:
    """Returns the measures of images, saved as JPEGs first."""
    found = []
    for image in images:
        image.save(content := io.BytesIO(), "JPEG", quality=85)
        found.append(measured.of_image(Image.open(content).convert("RGB")))
    return Measured(**{name: np.stack([one[name] for one in found]) for name in NAMES})


def have(seen: Measured, marker: str) -> set[int]:
    """Returns the images that have a marker."""
    return {hit.row for hit in decide.decide(seen, marker)}


def drawn_into(paths: Sequence[Path], clean: list[int]) -> None:
    """Prints how many of the markers that are drawn into images are found."""
    random = np.random.default_rng(0)
    for name, (marker, draw) in MARKERS.items():
        images = []
        for row in random.choice(clean, DRAWN):
            image = open_rgb(paths[row], 10**9).copy()
            draw(image, random)
            images.append(image)
        print(f"drawn {name}: {len(have(of_images(images), marker))} of {DRAWN} found")


def mixed_with(name: str, real: Measured) -> None:
    """Prints how many off-topic pictures are found among real ones, and how many of these."""
    random, n = np.random.default_rng(ord(name)), len(real.ticks)
    odd = of_images([draw(random) for draw in OFF_TOPIC for _ in range(EACH)])
    alone, both = have(real, decide.OFF_TOPIC), have(joined(real, odd), decide.OFF_TOPIC)
    print(f"half {name}: {len(alone)} of {n} real images off topic")
    print(f"with {len(OFF_TOPIC) * EACH} that are: {sum(row < n for row in both)}", end="")
    for k, draw in enumerate(OFF_TOPIC):
        found = sum(n + k * EACH <= row < n + (k + 1) * EACH for row in both)
        print(f", {found} of {EACH} {draw.__name__}", end="")
    print()


def main() -> None:
    """Runs the benchmark."""
    name, root, place = sys.argv[1], sys.argv[2], ExitStack()
    with place:
        own = tempfile.TemporaryDirectory()
        cache = Path(sys.argv[3] if len(sys.argv) > 3 else place.enter_context(own))
        dataset = compose_experiment([f"dataset={name}", f"dataset.root={root}"]).dataset
        survey = dataset.model_copy(update={"same_lesion": "off"}).survey(cache)
        files = survey.samples.image.tolist()
        paths, digests = zip(
            *((survey.listing.paths[k], survey.file_digests[k]) for k in files), strict=True
        )
        started = time.process_time()
        seen = measured.load(paths, digests, 10**9, cache)
        spent = time.process_time() - started
    print(f"{len(paths)} images, {1000 * spent / len(paths):.1f} CPU-ms an image")
    side = np.array([half(path.name) for path in paths])
    marked = {marker: have(seen, marker) for marker in decide.MARKERS}
    for marker, found in marked.items():
        of_half = np.bincount(side[sorted(found)], minlength=2)
        print(f"{marker}: {of_half[0]} in half A, {of_half[1]} in half B")
    for k in (0, 1):
        rows = np.flatnonzero(side == k)
        mixed_with("AB"[k], Measured(**{n: getattr(seen, n)[rows] for n in NAMES}))
    some = set().union(*marked.values())
    drawn_into(paths, [k for k in np.flatnonzero(side == 1).tolist() if k not in some])


if __name__ == "__main__":
    main()
