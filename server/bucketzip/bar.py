"""A bar on a terminal, with a line beside it."""

from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

COLUMNS, LEAST_COLUMNS = 24, 8
"""Of the bar; it makes room for the line beside it."""


class _Here(Console):
    def show_cursor(self, show: bool = True) -> bool:  # noqa: FBT001, FBT002  -- rich's own interface
        """Leave it: whatever ends the process, the terminal is as it was."""
        return False


class Bar:
    """Drawn anew with each `update`; `stop` leaves nothing of it."""

    def __init__(self, stream: TextIO) -> None:
        self._live = Live(
            console=_Here(file=stream, force_terminal=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def update(self, line: str, done: float | None) -> None:
        """Show how much is done, up to 1; without it only the line."""
        drawn = Table.grid(padding=(0, 1))
        cells = [Text(line, no_wrap=True, overflow="ellipsis")]
        if done is not None:
            # Colours that every terminal has: rich's own turn grey where there are only sixteen.
            room = self._live.console.width - len(line) - 2
            columns = max(LEAST_COLUMNS, min(COLUMNS, room))
            bar = ProgressBar(1.0, done, columns, complete_style="cyan", finished_style="cyan", style="bright_black")
            drawn.add_row(bar, *cells)
        else:
            drawn.add_row(*cells)
        self._live.update(drawn, refresh=True)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()
