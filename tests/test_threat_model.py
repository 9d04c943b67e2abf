"""The threat model names tests, and they are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_test_it_names_exists() -> None:
    text = (ROOT / "docs/threat-model.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 20
    for path, test in named:
        assert re.search(rf"^(?:async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{test}"


def test_every_row_of_what_is_tried_names_one() -> None:
    tried = (ROOT / "docs/threat-model.md").read_text().partition("## What is tried\n")[2].partition("\n## ")[0]
    rows = [line for line in tried.splitlines() if line.startswith("| ")][1:]
    assert rows
    for row in rows:
        assert "::test_" in row, row
