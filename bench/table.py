"""Plain text tables: the first column to the left, numbers to the right, a row without numbers says why."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """Cells, or the reason why there are none."""

    name: str
    cells: tuple[str, ...] = ()
    problem: str | None = None


def ratio(value: float, base: float) -> str:
    """How many times the base."""
    return f"{value / base:.2f}x" if base > 0 else "-"


def render(title: str, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = ()) -> str:
    """The whole table as text."""
    grid = [("", *columns), *((row.name, *row.cells) for row in rows if row.problem is None)]
    widths = [max(len(line[index]) for line in grid) for index in range(len(columns) + 1)]
    widths[0] = max(widths[0], *(len(row.name) for row in rows), 1)

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        numbers = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        return "  ".join([first.ljust(widths[0]), *numbers])

    head = ["", title, "=" * len(title), *notes, line(("", *columns)), "-" * (sum(widths) + 2 * len(columns))]
    body = (
        f"{row.name.ljust(widths[0])}  {row.problem}" if row.problem else line((row.name, *row.cells)) for row in rows
    )
    return "\n".join([*head, *body])
