"""How metadata become numbers: fitted on training rows, recorded with the run, never pickled."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from melanoma_exp.data.cells import is_unknown
from melanoma_exp.data.inputs.spec import Inputs

Row = Mapping[str, str]  # by column its text; a column may be missing
FARTHEST = 6.0  # standard deviations from the mean, of a number that is farther away


@dataclass(frozen=True)
class Numeric:
    """A column of numbers: (value - mean) / deviation and 0, or 0 and 1 where it is unknown."""

    column: str
    mean: float
    deviation: float

    @property
    def size(self) -> int:
        """Places in the vector."""
        return 2

    def write(self, text: str, out: np.ndarray) -> None:
        """Encodes a cell into float32 (size,), which holds zeros.

        Raises:
            ValueError: It is no number.
        """
        value = number(text)
        if math.isnan(value):
            out[1] = 1
        else:
            out[0] = np.clip((value - self.mean) / self.deviation, -FARTHEST, FARTHEST)


@dataclass(frozen=True)
class Categorical:
    """A column of words: 1 at the place of its word; the last place is of any other."""

    column: str
    levels: tuple[str, ...]

    @property
    def size(self) -> int:
        """Places in the vector."""
        return len(self.levels) + 1

    def write(self, text: str, out: np.ndarray) -> None:
        """Encodes a cell into float32 (size,), which holds zeros."""
        word = level(text)
        out[self.levels.index(word) if word in self.levels else -1] = 1


@dataclass(frozen=True)
class Encoding:
    """Gives the vector of an image's metadata.

    Attributes:
        numeric: Columns of numbers.
        categorical: Columns of words.
        units: Of the hidden layer that reads the vector.
    """

    numeric: tuple[Numeric, ...]
    categorical: tuple[Categorical, ...]
    units: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in the order of their places."""
        return tuple(one.column for one, _ in self.places())

    @property
    def types(self) -> dict[str, str]:
        """By column what a caller gives: `double` for numbers, `string` for words."""
        return {one.column: "double" for one in self.numeric} | {
            one.column: "string" for one in self.categorical
        }

    @property
    def size(self) -> int:
        """The length of a vector."""
        return sum(one.size for one, _ in self.places())

    def places(self) -> Iterator[tuple[Numeric | Categorical, slice]]:
        """Yields each column with its place in the vector."""
        start = 0
        columns: list[Numeric | Categorical] = [*self.numeric, *self.categorical]
        for one in columns:
            yield one, slice(start, start + one.size)
            start += one.size

    def encode(self, rows: Sequence[Row]) -> np.ndarray:
        """Returns the vectors of n images, float32 (n, size).

        Args:
            rows: By column its text.

        Raises:
            ValueError: A numeric column has a text that is no number; which and what.
        """
        out = np.zeros((len(rows), self.size), np.float32)
        for vector, row in zip(out, rows, strict=True):
            for one, place in self.places():
                try:
                    one.write(row.get(one.column, ""), vector[place])
                except ValueError as error:
                    raise ValueError(f"{one.column} {error}") from None
        return out

    def hide(self, vectors: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Returns vectors some of whose columns are unknown.

        Args:
            vectors: float32 (n, size).
            hidden: bool (n, columns), which are.
        """
        (unknown,) = self.encode([{}])
        sizes = [one.size for one, _ in self.places()]
        return np.where(np.repeat(hidden, sizes, axis=1), unknown, vectors)

    def to_json(self) -> str:
        """Returns a description of the vector for other software: by column its first place.

        A number is (value - mean) / deviation, then 1 if it is unknown (and 0 before it), else 0; a
        word is 1 at the place of its level in small letters, else at the one behind them.
        """
        columns = {
            one.column: {"first": place.start, "places": one.size, **asdict(one)}
            for one, place in self.places()
        }
        return json.dumps({"size": self.size, "columns": columns}, indent=1) + "\n"


def fit(spec: Inputs, rows: Sequence[Row]) -> Encoding:
    """Returns the encoding of columns.

    Args:
        spec: Which.
        rows: Of the training images, originals alone; each column is known in one at least.
    """
    numeric, categorical = [], []
    for column in spec.numeric:
        values = np.array([number(row.get(column, "")) for row in rows])
        known = values[~np.isnan(values)]
        numeric.append(Numeric(column, float(known.mean()), float(known.std()) or 1.0))
    for column in spec.categorical:
        words = {level(row.get(column, "")) for row in rows} - {""}
        categorical.append(Categorical(column, tuple(sorted(words))))
    return Encoding(tuple(numeric), tuple(categorical), spec.units)


def number(text: str) -> float:
    """Returns the number that a cell holds, NaN where it is unknown.

    Raises:
        ValueError: It holds something else.
    """
    if is_unknown(text):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"is {text!r}, expected a number, or nothing where it is unknown")
    return value


def level(text: str) -> str:
    """Returns the word that a cell holds in small letters, "" where it is unknown."""
    return "" if is_unknown(text) else text.strip().casefold()
