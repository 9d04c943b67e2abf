"""docs/cli.md and what `--help` says are true: each command, option and example is one that the parser takes."""

import argparse
import io
import re
import shlex
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, cast

import pytest

from bucketzip import cli
from bucketzip.commands import COMMANDS
from bucketzip.doctor.checkup import Surroundings, checkup
from bucketzip.doctor.looked import Looked
from bucketzip.doctor.policy import Arns
from bucketzip.settings import Settings
from tests.doctor.standing_in import Elsewhere, named
from tests.test_docs import ROOT, table

PAGE = ROOT / "docs/cli.md"
PAGES = [PAGE, ROOT / "README.md", ROOT / "docs/operations.md", ROOT / "docs/api.md", ROOT / "docs/launch.md"]
OF_SETTINGS = {f"--{name.replace('_', '-')}" for name in Settings.model_fields}


def parser_of(command: str) -> argparse.ArgumentParser:
    (commands,) = (action for action in cli._parser(command)._actions if isinstance(action, argparse._SubParsersAction))
    found: argparse.ArgumentParser = commands.choices[command]
    return found


def section(command: str) -> str:
    found = re.search(rf"^## bucketzip {command}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, command
    return found[1]


def is_taken(line: str) -> bool:
    """Whether the parser takes a line of an example, up to a pipe or what is told beside it."""
    words = shlex.split(re.split(r" \| | > |  +|\)\"", line)[0], comments=True)[1:]
    try:
        with redirect_stderr(io.StringIO()):
            cli._parser(words[0]).parse_args(words)
    except SystemExit as ended:
        return ended.code == 0
    return True


def examples(text: str) -> list[str]:
    """Lines that are commands, and nothing but examples."""
    return re.findall(r"^ {2,}(?:sudo )?(bucketzip [a-z].*)$", text, re.MULTILINE)


@pytest.mark.parametrize("heading", ["The command line", "Exit status"])
def test_the_tables_have_all_commands(heading: str) -> None:
    told = [re.sub(r"^\[?`?bucketzip ([a-z-]+).*", r"\1", row[0]) for row in table(PAGE, heading)]
    assert sorted(told) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_is_told(command: str) -> None:
    takes = {name for name in parser_of(command)._option_string_actions if name.startswith("--")} - {"--help"}
    rows = re.findall(r"^\| (`--.*?) \|", section(command), re.MULTILINE)
    told = {option for row in rows for option in re.findall(r"`(--[a-z-]+)", row)}
    assert told <= takes
    assert takes - told <= OF_SETTINGS, "these are told in operations.md"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_examples_that_are_taken(command: str) -> None:
    here, there = examples(section(command)), examples(parser_of(command).format_help())
    assert here
    assert there
    assert [line for line in here + there if not is_taken(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_elsewhere_are_taken_too(page: Path) -> None:
    assert [line for line in examples(page.read_text()) if not is_taken(line)] == []


def test_each_check_of_doctor_is_told() -> None:
    nothing = cast("Any", None)  # no check is made, only named
    here = Surroundings(
        state_dir=Path(),
        s3_connections=1,
        region="",
        who=nothing,
        endpoint=Elsewhere(),
        instance=nothing,
        reader=nothing,
    )
    source, destination = (Looked(named(name), "", Arns("aws")) for name in ("photos", "archives"))
    names = {check.name for check in checkup(here, source, destination)}
    assert {row[0] for row in table(PAGE, "bucketzip doctor")} == names
