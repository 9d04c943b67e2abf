"""Other people's Python packages, each set in an environment of its own, kept in the work directory."""

import subprocess
import sys
from pathlib import Path

from bench.processes import UnavailableError, clean_environment

_LIMIT_SECONDS = 180


def environment(home: Path, name: str, *wanted: str | Path) -> Path:
    """The directory of its programs; `wanted` is what pip is asked for. Raises UnavailableError."""
    programs, installed = home / "bin", home / "installed"
    if installed.exists():
        return programs
    venv: list[str | Path] = [sys.executable, "-m", "venv", home]
    pip: list[str | Path] = [programs / "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    for command in venv, pip:
        try:
            subprocess.run(
                command,
                env=clean_environment({}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
                timeout=_LIMIT_SECONDS,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            reason = " ".join((error.stderr or b"").decode(errors="replace").split())[-200:]
            raise UnavailableError(f"{name} was not installed: {reason or error}") from error
    installed.touch()
    return programs
