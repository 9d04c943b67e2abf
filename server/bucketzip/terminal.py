"""How far something is: a bar on a terminal, drawn anew a few times a second; elsewhere now and then a line."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

EVERY_SECONDS = 0.2
LINE_SECONDS = 60.0
"""Between lines, where they stay: in a pipe, a file, a log."""

MIB = 1 << 20
BAR_COLUMNS = 24


class StatusLine:
    """Call `show` as often as you like. `quiet`: it says nothing, but what is written to it goes through."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic, *, quiet: bool = False) -> None:
        self._stream = stream
        self._clock = clock
        self._said_at = clock()
        self._on_terminal = stream.isatty()
        self._every_seconds = float("inf") if quiet else EVERY_SECONDS if self._on_terminal else LINE_SECONDS
        self._live: Live | None = None

    def show(self, line: Callable[[], str], done: float | None = None) -> None:
        """Say what `line` returns, unless something was said a moment ago; `done` is how much of it is, up to 1."""
        if self._clock() - self._said_at < self._every_seconds:
            return
        self._said_at = self._clock()
        if not self._on_terminal:
            self._stream.write(f"{line()}\n")
            self._stream.flush()
            return
        if self._live is None:
            self._live = _live(self._stream)
            self._live.start()
        self._live.update(_drawn(line(), done), refresh=True)

    def clear(self) -> None:
        """Leave nothing of it on the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def write(self, text: str) -> None:
        """Write something else, such as a log's line, where the status was."""
        self.clear()
        self._stream.write(text)

    def flush(self) -> None:
        """With `write` it is what a log's handler asks of a stream."""
        self._stream.flush()


def _live(stream: TextIO) -> "Live":
    # Imported where there is something to draw on: it takes 0.1 s, and most runs are not on a terminal.
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    class Here(Console):
        def show_cursor(self, show: bool = True) -> bool:  # noqa: FBT001, FBT002  -- rich's own interface
            """Leave it: whatever ends the process, the terminal is as it was."""
            return False

    return Live(
        console=Here(file=stream, force_terminal=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


def _drawn(line: str, done: float | None) -> "Table":
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table.grid(padding=(0, 1))
    cells = [Text(line, no_wrap=True, overflow="ellipsis")]
    if done is not None:
        # Colours that every terminal has: rich's own turn grey where there are only sixteen.
        bar = ProgressBar(1.0, done, BAR_COLUMNS, complete_style="cyan", finished_style="cyan", style="bright_black")
        drawn.add_row(bar, *cells)
    else:
        drawn.add_row(*cells)
    return drawn


def amount(done_bytes: int, total_bytes: int) -> str:
    """`` 45 %  1,052 of 2,310 MiB``."""
    percent = 100 * done_bytes // total_bytes if total_bytes else 100
    return f"{percent:3} %  {done_bytes / MIB:,.0f} of {total_bytes / MIB:,.0f} MiB"


def pace(bytes_per_second: float, left_bytes: int) -> str:
    """`93 MiB/s  0:00:27 left`."""
    left = round(left_bytes / bytes_per_second) if bytes_per_second else 0
    return f"{bytes_per_second / MIB:,.0f} MiB/s  {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"


def entries(count: int) -> str:
    """`1 entry`, `1,052 entries`."""
    return f"{count:,} entr{'y' if count == 1 else 'ies'}"


def printable(text: str) -> str:
    """Without what would move a terminal's cursor: names of objects, and in files of others, are anybody's."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
