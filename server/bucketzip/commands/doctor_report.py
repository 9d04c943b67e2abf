"""What `bucketzip doctor` found: in colours on a terminal, as plain lines in a pipe, as JSON."""

import json
import shutil
import textwrap
from collections import Counter
from typing import TextIO

from rich.console import Console
from rich.text import Text

from bucketzip.doctor.finding import Check, Finding, Outcome
from bucketzip.doctor.policy import policy
from bucketzip.terminal import printable

MACHINE = "this machine"
_STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "bold red", Outcome.UNKNOWN: "dim"}
_QUIET = frozenset({Outcome.OK, Outcome.UNKNOWN})
_INDENT = " " * 30
_LEAST_COLUMNS = 60


class _Console(Console):
    """Lets the command line see that its reader has left, and end as other programs do."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Report:
    """Hears of each finding, and has the last word."""

    def __init__(self, stream: TextIO, *, as_json: bool, quiet: bool) -> None:
        self._console = _Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._as_json = as_json
        self._quiet = quiet
        self._found: list[tuple[Check, Finding]] = []
        self._about: str | None = None

    @property
    def failed(self) -> bool:
        """Whether something will."""
        return any(finding.outcome is Outcome.FAILED for _, finding in self._found)

    def tell(self, check: Check, finding: Finding) -> None:
        """One of them, in the order of the report."""
        self._found.append((check, finding))
        if self._as_json or finding.untried or (self._quiet and finding.outcome in _QUIET):
            return
        if check.about != self._about:
            self._about = check.about
            self._console.print(printable(check.about) or MACHINE, style="bold")
        line = Text(f"  {finding.outcome:<8} ", style=_STYLES[finding.outcome])
        line.append(f"{check.name:<18} ", style="default not bold")
        line.append(_wrapped(finding.said, self._console), style="default not bold not dim")
        self._console.print(line)
        if finding.todo:
            self._console.print(f"{_INDENT}{_wrapped(f'-> {finding.todo}', self._console)}")

    def end(self) -> None:
        """How it all came out, and the policy that is missing."""
        missing = policy(grant for _, finding in self._found for grant in finding.missing)
        if self._as_json:
            self._console.out(json.dumps(self._for_programs(missing), indent=2), highlight=False)
            return
        counts = Counter("not tried" if each.untried else str(each.outcome) for _, each in self._found)
        told = ", ".join(f"{counts[name]} {name}" for name in (*Outcome, "not tried") if counts[name])
        if counts[Outcome.WARNING] > 1:
            told = told.replace("warning", "warnings")
        if self._about is not None:
            self._console.print()
        self._console.print(told)
        if missing is not None:
            self._console.print(
                "\nThe IAM policy that is missing (statements called Optional are not needed, but help):\n"
            )
            self._console.print(json.dumps(missing, indent=2))

    def _for_programs(self, missing: object) -> dict[str, object]:
        outcomes = {finding.outcome for _, finding in self._found}
        worst = next((each for each in (Outcome.FAILED, Outcome.WARNING) if each in outcomes), Outcome.OK)
        return {
            "outcome": worst,
            "checks": [
                {
                    "name": check.name,
                    "about": check.about or None,
                    "outcome": finding.outcome,
                    "said": finding.said,
                    "todo": finding.todo or None,
                    "missing": [grant._asdict() for grant in finding.missing],
                    "facts": finding.facts,
                }
                for check, finding in self._found
            ],
            "policy": missing,
        }


def _wrapped(text: str, console: Console) -> str:
    """On a terminal broken between words, behind the names; in a pipe one line."""
    text = printable(text)
    if not console.is_terminal:
        return text
    columns = max(shutil.get_terminal_size().columns, _LEAST_COLUMNS) - len(_INDENT) - 1
    lines = textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False)
    return f"\n{_INDENT}".join(lines)
