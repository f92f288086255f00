"""The option `dataset.inputs`: which columns of the metadata the network sees beside the image."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from melanoma_exp.data.inputs import names
from melanoma_exp.spec import Spec

Column = Annotated[str, Field(min_length=1)]


class Inputs(Spec):
    """Columns of the metadata that are a second input of the network.

    A vector of them passes a hidden layer and is added to the embedding, whatever the network.

    Attributes:
        numeric: Columns of numbers. Each is two values: standardised, and whether it is unknown.
        categorical: Columns of words. Each is one-hot: the words that training rows have, and a
            place for unknown and for any other word.
        dropout: Probability with which a column of an image is unknown in a training batch, drawn
            anew every epoch: the network learns to do without it.
        units: Of the hidden layer.
    """

    numeric: tuple[Column, ...]
    categorical: tuple[Column, ...]
    dropout: float = Field(ge=0, le=0.9)
    units: int = Field(ge=1, le=1024)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, numeric ones first."""
        return (*self.numeric, *self.categorical)

    def check_none_of(self, own: Mapping[str | None, str]) -> None:
        """Refuses columns that the dataset itself reads.

        Args:
            own: What each such column says, as a sentence about it goes on.

        Raises:
            ValueError: One of them is an input.
        """
        for column in self.columns:
            if column in own:
                raise ValueError(f"inputs: {names.refused(column, own[column])}")

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if not self.columns:
            raise ValueError("should name a column; null uses no metadata")
        twice = [name for k, name in enumerate(self.columns) if name in self.columns[:k]]
        if twice:
            raise ValueError(f"names the column {twice[0]} twice")
        for column in self.columns:
            if why := names.why_refused(column):
                raise ValueError(names.refused(column, why))
        return self
