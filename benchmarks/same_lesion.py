"""How many lesions photographed again are found, among pairs of images whose lesion ids are known.

    python benchmarks/same_lesion.py DIR [CACHE]    # DIR holds HAM10000

Prints what the shortlist proposes, then for each limit of agreeing structures the share of pairs of
one lesion id that are found and the number of pairs of two ids, in two halves of the lesions: a
limit chosen on one half can be read in the other. Then CPU seconds and memory. Pairs of two ids are
named: look at them, ids are not always right.
"""

import hashlib
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from melanoma_exp.data.datasets.table import Table
from melanoma_exp.data.duplicates import local_features, same_lesion, shortlist
from melanoma_exp.system.installation import conf_folder

LIMITS = (7, 8, 9, 10, 11, 12, 14, 16, 20)


def half(lesion: str) -> int:
    """Returns 0 or 1, the same for all images of a lesion."""
    return hashlib.sha256(lesion.encode()).digest()[0] % 2


def curve(found: same_lesion.SameLesions, lesions: list[str], known: set[tuple[int, int]]) -> None:
    """Prints recall and pairs of two lesions for each limit, by half."""
    halves = [[pair for pair in known if half(lesions[pair[0]]) == side] for side in (0, 1)]
    pairs = list(zip(found.first.tolist(), found.second.tolist(), strict=True))
    print("agreeing  recall A  recall B  two ids A  two ids B")
    for limit in LIMITS:
        at = {pair for pair, n in zip(pairs, found.agreeing.tolist(), strict=True) if n >= limit}
        recall = [sum(pair in at for pair in side) / len(side) for side in halves]
        wrong = [half(lesions[a]) for a, b in at if lesions[a] != lesions[b]]
        print(
            f"{limit:8}  {recall[0]:8.3f}  {recall[1]:8.3f}  {wrong.count(0):9}  {wrong.count(1):9}"
        )


def main() -> None:
    """Runs the benchmark."""
    root, place = Path(sys.argv[1]), ExitStack()
    cache = Path(sys.argv[2] if len(sys.argv) > 2 else place.enter_context(_folder()))
    content = yaml.safe_load((conf_folder() / "dataset" / "ham10000.yaml").read_text())
    listing = Table.model_validate({**content, "root": root}).find(cache)
    paths, lesions = list(listing.paths), list(listing.lesions)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    rows = defaultdict(list)
    for row, lesion in enumerate(lesions):
        rows[lesion].append(row)
    known = {pair for of in rows.values() for pair in combinations(of, 2)}
    order = sorted(range(len(paths)), key=lambda row: digests[row])

    times = {}

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            started = time.process_time()
            result = work(*given)
            times[name] = time.process_time() - started
            proposed.append(result)
            return result

        return call

    proposed: list[Any] = []
    local_features.load = timed("features", local_features.load)
    shortlist.pairs = timed("shortlist", shortlist.pairs)
    with place:
        found = timed("all", same_lesion.find)(paths, digests, 10**9, cache)
    listed = {tuple(sorted((order[a], order[b]))) for a, b in proposed[1].tolist()}
    print(f"{len(paths)} images, {len(rows)} lesions, {len(known)} pairs of one lesion id")
    print(f"shortlist: {len(listed)} pairs, {len(known & listed) / len(known):.3f} of one id")
    curve(found, lesions, known)
    for name, seconds in times.items():
        print(f"{name}: {seconds:.0f} CPU-s, {1000 * seconds / len(paths):.1f} ms an image")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    for k in np.argsort(-found.agreeing, kind="stable").tolist():
        a, b = int(found.first[k]), int(found.second[k])
        if lesions[a] != lesions[b]:
            names = f"{paths[a].stem} {paths[b].stem}"
            print(f"two ids: {found.agreeing[k]} {names} {lesions[a]} {lesions[b]}")


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


if __name__ == "__main__":
    main()
