"""How the nine diagnoses look: a table of traits and the structures the traits refer to.

A class is nothing but its row of `TRAITS`; `LAYERS` says how each named structure is drawn, and
`individual` draws the traits of one lesion. The rows overlap on purpose, as the diagnoses do, and a
share of the lesions borrows from a look-alike class.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from melanoma_exp.demo.patterns import Plane, mesh, noise, ridges, smoothstep, spots, vessels

Colour = tuple[int, int, int]

ATYPICAL_SHARE = 0.2
BORROWED = (0.4, 1.0)
PRESENT_SHARE = 0.85
STRAY_SHARE = 0.03
STRAY_OPACITY = 0.5


@dataclass(frozen=True)
class Layer:
    """A structure inside a lesion.

    Attributes:
        pattern: Draws its plane, float32 in [0, 1], from a generator and a canvas side.
        colour: RGB of the structure where it is strongest.
        zone: Depths it lives between, 0 at the lesion's rim and 1 at its centre.
    """

    pattern: Callable[[np.random.Generator, int], Plane]
    colour: Colour
    zone: tuple[float, float] = (0.0, 1.0)


def _web(rng: np.random.Generator, side: int, cells: int) -> Plane:
    """Draws the web between round cells."""
    return smoothstep(mesh(rng, side, cells), 0.3, 0.62)


def _holes(rng: np.random.Generator, side: int, cells: int, wide: float) -> Plane:
    """Draws round cells `wide` pitches in radius."""
    return 1.0 - smoothstep(mesh(rng, side, cells), wide - 0.12, wide + 0.06)


def _clouds(
    rng: np.random.Generator, side: int, low: float, high: float, cells: tuple[int, ...]
) -> Plane:
    """Draws ragged clouds: absent where the noise is under `low`, full where it is over `high`."""
    return smoothstep(noise(rng, side, *cells), low, high)


LAYERS: dict[str, Layer] = {
    "network": Layer(partial(_web, cells=30), (74, 46, 32)),
    "red_network": Layer(partial(_web, cells=17), (178, 62, 58)),
    "follicles": Layer(partial(_holes, cells=17, wide=0.25), (240, 214, 184)),
    "ridges": Layer(partial(ridges, frequency=8.0), (98, 64, 44)),
    "ring": Layer(partial(_clouds, low=-1.4, high=0.2, cells=(6, 12)), (126, 80, 56), (0.0, 0.45)),
    "lagoons": Layer(partial(_holes, cells=9, wide=0.42), (112, 14, 40), (0.1, 1.0)),
    "veil": Layer(partial(_clouds, low=0.0, high=1.2, cells=(4, 8)), (116, 126, 152), (0.2, 1.0)),
    "globules": Layer(partial(spots, count=60, sizes=(0.015, 0.035), spread=0.75), (52, 32, 26)),
    "ovoids": Layer(partial(spots, count=10, sizes=(0.04, 0.13), spread=0.5), (88, 92, 116)),
    "comedos": Layer(partial(spots, count=26, sizes=(0.02, 0.05), spread=0.6), (58, 40, 28)),
    "milia": Layer(partial(spots, count=34, sizes=(0.012, 0.03), spread=0.6), (244, 228, 200)),
    "pale_centre": Layer(
        partial(_clouds, low=-1.6, high=0.2, cells=(5, 11)), (238, 216, 204), (0.45, 1.0)
    ),
    "ulcer": Layer(
        partial(_clouds, low=0.3, high=0.7, cells=(4, 8, 16)), (104, 26, 22), (0.35, 1.0)
    ),
    "keratin": Layer(
        partial(_clouds, low=0.1, high=0.6, cells=(5, 10, 20)), (244, 232, 206), (0.3, 1.0)
    ),
    "scale": Layer(partial(_clouds, low=0.4, high=1.0, cells=(10, 30)), (244, 230, 212)),
    "vessels": Layer(partial(vessels, trunks=4, reach=0.55), (172, 40, 48)),
}
"""The structures in the order in which they are laid over a lesion's ground."""


@dataclass(frozen=True)
class Traits:
    """How one diagnosis looks on average.

    Attributes:
        look_alikes: Labels of the classes an atypical lesion borrows from.
        radius: Mean radius in units of half the picture's side.
        asymmetry: Relative amplitude of the outline's slow waves.
        ragged: Relative amplitude of the outline's fast waves.
        edge: Depth over which the lesion fades into the skin; small is sharply bordered.
        variety: How far the ground's colour wanders along the palette.
        cover: Opacity of the ground over the skin, 0 to 1.
        palette: Ground colours from the rim (and thin places) to the centre (and thick ones).
        structures: Mean opacity of each structure present, by its name in `LAYERS`.
    """

    look_alikes: tuple[int, ...]
    radius: float
    asymmetry: float
    ragged: float
    edge: float
    variety: float
    cover: float
    palette: tuple[Colour, ...]
    structures: Mapping[str, float]


CLASSES: tuple[str, ...] = (
    "actinic keratosis",
    "basal cell carcinoma",
    "dermatofibroma",
    "melanoma",
    "nevus",
    "pigmented benign keratosis",
    "seborrheic keratosis",
    "squamous cell carcinoma",
    "vascular lesion",
)

# fmt: off
TRAITS: tuple[Traits, ...] = (
    Traits(  # actinic keratosis
        (7, 1, 5), 0.64, 0.16, 0.06, 0.60, 0.55, 0.60,
        ((226, 160, 138), (214, 132, 110), (200, 108, 92), (210, 150, 120)),
        {"red_network": 0.6, "follicles": 0.6, "scale": 0.6},
    ),
    Traits(  # basal cell carcinoma
        (7, 0, 3), 0.60, 0.16, 0.05, 0.35, 0.50, 0.65,
        ((226, 172, 158), (222, 154, 148), (206, 134, 132), (170, 116, 118)),
        {"ovoids": 0.65, "vessels": 0.75, "ulcer": 0.3, "veil": 0.15},
    ),
    Traits(  # dermatofibroma
        (4, 5), 0.54, 0.08, 0.03, 0.55, 0.30, 0.70,
        ((206, 152, 126), (178, 122, 98), (190, 136, 116), (222, 182, 166)),
        {"ring": 0.55, "pale_centre": 0.75, "network": 0.25},
    ),
    Traits(  # melanoma
        (4, 4, 6, 1), 0.70, 0.26, 0.09, 0.18, 1.00, 0.92,
        ((158, 100, 72), (110, 66, 48), (66, 42, 38), (44, 34, 40)),
        {"veil": 0.65, "network": 0.45, "globules": 0.6, "pale_centre": 0.2, "ulcer": 0.15},
    ),
    Traits(  # nevus
        (3, 3, 5, 2), 0.54, 0.07, 0.02, 0.25, 0.35, 0.82,
        ((176, 118, 92), (144, 92, 68), (116, 70, 52), (90, 54, 42)),
        {"network": 0.55, "globules": 0.35},
    ),
    Traits(  # pigmented benign keratosis
        (6, 4, 3), 0.62, 0.14, 0.05, 0.16, 0.50, 0.75,
        ((212, 166, 132), (196, 146, 112), (174, 124, 94), (150, 104, 80)),
        {"ridges": 0.4, "milia": 0.4, "comedos": 0.3, "network": 0.15},
    ),
    Traits(  # seborrheic keratosis
        (5, 5, 3), 0.64, 0.13, 0.05, 0.09, 0.55, 0.92,
        ((170, 120, 90), (144, 98, 72), (118, 80, 60), (92, 64, 52)),
        {"milia": 0.75, "comedos": 0.75, "ridges": 0.3, "scale": 0.15},
    ),
    Traits(  # squamous cell carcinoma
        (0, 1), 0.62, 0.18, 0.08, 0.30, 0.65, 0.78,
        ((218, 138, 126), (202, 108, 100), (190, 84, 80), (226, 172, 152)),
        {"keratin": 0.8, "ulcer": 0.65, "vessels": 0.3, "scale": 0.3},
    ),
    Traits(  # vascular lesion
        (1, 4, 3), 0.52, 0.12, 0.04, 0.15, 0.60, 0.88,
        ((206, 104, 104), (182, 62, 72), (150, 38, 58), (104, 30, 62)),
        {"lagoons": 0.75, "veil": 0.25},
    ),
)
# fmt: on
"""One row per class, in the order of `CLASSES`."""


def individual(label: int, rng: np.random.Generator) -> Traits:
    """Draws one lesion's traits: its class's, varied, and mixed with a look-alike's if atypical.

    `label` is an index into `CLASSES`. The result names every structure; opacity 0 is absent.
    """
    own = TRAITS[label]
    other = TRAITS[rng.choice(own.look_alikes)]
    share = rng.uniform(*BORROWED) if rng.random() < ATYPICAL_SHARE else 0.0
    swap = rng.random(len(own.palette)) < share

    def mixed(a: float, b: float, spread: float) -> float:
        return ((1.0 - share) * a + share * b) * rng.lognormal(0.0, spread)

    means = np.array([[t.structures.get(name, 0.0) for name in LAYERS] for t in (own, other)])
    opacities = (1.0 - share) * means[0] + share * means[1]
    opacities *= rng.lognormal(0.0, 0.25, len(LAYERS)) * (rng.random(len(LAYERS)) < PRESENT_SHARE)
    strays = STRAY_OPACITY * (rng.random(len(LAYERS)) < STRAY_SHARE)
    opacities = np.clip(np.maximum(opacities, strays), 0.0, 0.95)
    return Traits(
        look_alikes=own.look_alikes,
        radius=min(mixed(own.radius, other.radius, 0.22), 0.85),
        asymmetry=mixed(own.asymmetry, other.asymmetry, 0.4),
        ragged=mixed(own.ragged, other.ragged, 0.4),
        edge=mixed(own.edge, other.edge, 0.35),
        variety=mixed(own.variety, other.variety, 0.35),
        cover=min(mixed(own.cover, other.cover, 0.12), 0.98),
        palette=tuple(map(tuple, np.where(swap[:, None], other.palette, own.palette).tolist())),
        structures=dict(zip(LAYERS, opacities.tolist(), strict=True)),
    )
