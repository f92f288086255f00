"""A screen that no text can control, wherever it comes from."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from melanoma_exp.system.shown import without_control


class SafeConsole(Console):
    """Rich's console, but a control character within a text is shown as a question mark."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Renders without control characters but those of the screen itself."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(without_control(one.text), one.style)
