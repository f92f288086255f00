"""What a run's alert is worth on its validation images, in words that every output begins with."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

DRAWN = "Trained on drawings: it knows no photograph, whatever its figures say."
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Interval:
    """A share with its interval; the ends are None where there is none."""

    value: Share
    low: Share | None
    high: Share | None

    def __str__(self) -> str:
        """Value and interval, two digits."""
        ends = (
            "" if self.low is None or self.high is None else f", {self.low:.2f} to {self.high:.2f}"
        )
        return f"{self.value:.2f}{ends}"


@dataclass(frozen=True)
class Worth:
    """Counts of the alert on validation, and what speaks against believing it.

    Attributes:
        caught: Positive images that are alerted.
        positives: Positive images.
        fired: Other images that are alerted.
        others: Other images.
        sensitivity: caught / positives; None without positives or threshold.
        false_alarms: fired / others; None without others or threshold.
        auc: Of the alerted class, plain probability; None where it is undefined.
        confidence: Of the intervals.
        only_answer: The class that is predicted for every image; "" where there are several.
        drawn: Whether the network was trained on drawings.
    """

    caught: Count
    positives: Count
    fired: Count
    others: Count
    sensitivity: Interval | None
    false_alarms: Interval | None
    auc: Interval | None
    confidence: Share
    only_answer: str
    drawn: bool

    def sentence(self, name: str) -> str:
        """Returns what the alert did on validation.

        Args:
            name: Of the alerted class.
        """
        if self.sensitivity is None or self.false_alarms is None:
            return f"There is no alert for {name}: validation gave no threshold."
        area = f"; AUC {self.auc}" if self.auc else ""
        return (
            f"On validation the alert caught {self.caught} of {self.positives} {name} "
            f"({self.sensitivity}) and fired on {self.fired} of {self.others} others "
            f"({self.false_alarms}){area} ({100 * self.confidence:g} % intervals)."
        )

    def doubts(self, name: str) -> list[str]:
        """Returns a line for each reason not to believe the alert; to be shown in red.

        Args:
            name: Of the alerted class.
        """
        found = []
        if self.drawn:
            found.append(DRAWN)
        if self.only_answer:
            found.append(
                f"It answers {self.only_answer} for every validation image: it has learned nothing "
                "that tells classes apart."
            )
        if self.auc is not None and self.auc.high is not None and self.auc.high < 0.5:
            found.append(f"It ranks {name} below the others: its AUC ({self.auc}) is under chance.")
        elif self.auc is not None and (self.auc.low is None or self.auc.low <= 0.5):
            found.append(
                f"It may know nothing of {name}: the interval of its AUC ({self.auc}) reaches 0.5, "
                "which is chance."
            )
        if (
            self.sensitivity is not None
            and self.caught + self.fired == self.positives + self.others
        ):
            found.append("The alert fires on every validation image.")
        return found
