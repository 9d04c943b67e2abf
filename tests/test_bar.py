"""The bar on a terminal, by what it writes there."""

import io

import pytest
from rich.cells import cell_len
from rich.text import Text

from bucketzip.bar import COLUMNS, LEAST_COLUMNS, Bar

LINE = " 75 %  227 of 300 MiB  0 of 1 entry  73 MiB/s  0:00:01 left"


@pytest.mark.parametrize(
    ("terminal", "bar"), [(200, COLUMNS), (80, 80 - len(LINE) - 2), (len(LINE) + 2 + LEAST_COLUMNS, LEAST_COLUMNS)]
)
def test_it_makes_room_for_the_line(terminal: int, bar: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(terminal))
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    Bar(stream).update(LINE, 0.5)
    drawn, whole, _ = Text.from_ansi(stream.getvalue()).plain.partition(LINE)
    assert whole
    assert cell_len(drawn.strip()) == bar
