"""Synthetic children: drawn once by an offline policy, cached, read by a `Reader`."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp.augment import Policy
from melanoma_exp.augment.none import NoAugment
from melanoma_exp.data.loader import Reader
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import digest
from melanoma_exp.system import arrays
from melanoma_exp.system.arrays import Images
from melanoma_exp.system.cache.entry import About, hold, obtain
from melanoma_exp.system.extensions.record import used_by
from melanoma_exp.system.randomness import Purpose, address, generator
from melanoma_exp.system.watchdog import exit_with_parent

CHILDREN = "children.npy"
VERSION = 3  # raise it when the same child would get other pixels
FEWEST = 64  # children that justify a worker
MOST = 64  # children per task of a worker


@dataclass(frozen=True)
class Origin:
    """What children are drawn from.

    Attributes:
        pixels: uint8 (images, h, w, 3), the originals.
        digest: Identifies them.
        name: Of the dataset, for people.
    """

    pixels: np.ndarray
    digest: str
    name: str


def make_reader(plan: Samples, origin: Origin, policy: Policy, seed: int, cache: Path) -> Reader:
    """Makes the synthetic children of a plan, or reads them from the cache.

    Children are drawn per (seed, source, copy), in worker processes because Augmentor draws from
    process-wide generators; the result does not depend on the number of workers.

    Args:
        plan: All rows that will be read.
        origin: The originals.
        policy: Draws the children, unless it draws online anyway or there is nothing to draw.
        seed: The run's seed.
        cache: The folder of cached arrays.

    Raises:
        UserError: The cache cannot be written.
    """
    pixels = origin.pixels
    children = plan.take(plan.copy > 0)
    if policy.online or isinstance(policy, NoAugment) or not len(children):
        return Reader(pixels, np.empty((0, *pixels.shape[1:]), np.uint8))
    names = children.id
    order = np.argsort(names)
    children, names = children.take(order), names[order]
    shape = [len(children), *pixels.shape[1:]]
    drawing = policy.model_dump(mode="json", exclude={"batch"})  # which mixes, later
    code = [extension.sha256 for extension in used_by(policy, ())]  # of a policy from outside
    key = digest([VERSION, origin.digest, shape, seed, drawing, names.tolist(), *code])
    size = f"{shape[1]}x{shape[2]}"
    about = About(f"{origin.name} {size}, {policy.kind}, seed {seed}", len(children))

    def make(folder: Path) -> None:
        draw_all(children, Images(pixels), policy, seed, folder / CHILDREN)

    entry = obtain(cache, "children", key, about, make)
    return Reader(pixels, hold(np.load(entry.folder / CHILDREN, mmap_mode="r"), entry), names)


def draw_all(rows: Samples, source: Images, policy: Policy, seed: int, path: Path) -> None:
    """Draws one child for each row, in worker processes, into a new `.npy` file.

    Args:
        rows: The children.
        source: Reads the pixels of `rows.image`.
        policy: Draws the variant.
        seed: The run's seed.
        path: Of the file.

    Raises:
        OSError: The file cannot be written.
    """
    begin = arrays.create(path, (len(rows), *source.shape[1:]))
    child = int(np.prod(source.shape[1:]))
    workers = max(1, min(os.cpu_count() or 1, len(rows) // FEWEST))
    jobs = []
    for start in range(0, len(rows), MOST):
        some = rows.take(np.arange(start, min(start + MOST, len(rows))))
        jobs.append(Job(policy, seed, source, some, path, begin + start * child))
    with _workers(workers) as pool:
        for _ in pool.map(Job.run, jobs):
            pass


@dataclass(frozen=True)
class Job:
    """Some children for one worker, which reads their sources and writes them into the file.

    Attributes:
        policy: Draws the variant.
        seed: The run's seed.
        images: Reads the pixels of `rows.image`.
        rows: The children.
        path: The file.
        offset: Where the first child begins in it, in bytes.
    """

    policy: Policy
    seed: int
    images: Images
    rows: Samples
    path: Path
    offset: int

    def run(self) -> None:
        """Draws the children and writes them."""
        offset, columns = self.offset, (self.rows.image, self.rows.source, self.rows.copy)
        for row, source, copy in zip(*columns, strict=True):
            (image,) = self.images.take([int(row)])
            random = generator(self.seed, Purpose.CHILD, address(str(source)), int(copy))
            child = self.policy.draw(image, random)
            arrays.write(self.path, offset, child)
            offset += child.nbytes


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor]:
    # Not forked from here: this process may hold threads of OpenCV or TensorFlow. They are forked
    # from a fresh one that has imported what they need, once for all.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", __name__, "Augmentor", "cv2"])
    # A worker whose parent is killed would wait for work for ever.
    with ProcessPoolExecutor(count, context, exit_with_parent, (0.0,)) as pool:
        yield pool
