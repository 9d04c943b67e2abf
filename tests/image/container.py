"""A tree that is booted: the real systemd of the image in namespaces, without a kernel of its own."""

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bucketzip.embedded import die_with_parent
from tests.image import host
from tests.image.network import Network

BOOT_SECONDS = 600.0
STOP_SECONDS = 180.0
POLL_SECONDS = 0.1
SHOWN_CHARACTERS = 6000
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandFailed(AssertionError):
    """A command in the machine did not end with 0."""


class Container:
    """`run` what an administrator would; `process` is systemd-nspawn, which ends with the machine."""

    def __init__(self, process: subprocess.Popen[bytes], console: Path) -> None:
        self.process = process
        self._console = console

    @property
    def first(self) -> int:
        """The number of the machine's process 1, as this machine counts; 0 before it is there."""
        pid = self.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(FileNotFoundError):  # one that prepares the machine, and has ended
                if re.search(r"^NSpid:.*\t1$", Path(f"/proc/{child}/status").read_text(), re.MULTILINE):
                    return int(child)
        return 0

    def run(self, command: str, *, check: bool = True, timeout_seconds: float = 300) -> str:
        """What a shell in the machine prints; raises CommandFailed."""
        done = subprocess.run(
            [
                *("nsenter", "--target", str(self.first), "--all", "--"),
                *("env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "HOME=/root", "SYSTEMD_COLORS=0", "sh", "-c", command),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if check and done.returncode:
            raise CommandFailed(f"{command!r} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run(f"systemctl show --value --property={name} {shlex.quote(unit)}")

    def journal(self, unit: str = "") -> list[dict[str, Any]]:
        """What was logged since the machine was made, the oldest first; of a unit, or of all."""
        matching = f"--unit={shlex.quote(unit)}" if unit else ""
        return [json.loads(line) for line in self.run(f"journalctl --output=json --no-pager {matching}").splitlines()]

    def wait_until_running(self) -> None:
        """Return when all that boots has, well; raises AssertionError."""
        state = self._wait_until_booted()
        if state != "running":
            failed = self.run(
                "systemctl --failed --no-pager; journalctl -p warning -b --no-pager | tail -n 40", check=False
            )
            raise AssertionError(f"the machine is {state}:\n{failed}")

    def _wait_until_booted(self) -> str:
        deadline = time.monotonic() + BOOT_SECONDS
        state = "not started"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if self.first:
                state = self.run("systemctl is-system-running", check=False)
                if state in {"running", "degraded", "maintenance"}:
                    return state
            time.sleep(POLL_SECONDS)
        console = self._console.read_text(errors="replace")[-SHOWN_CHARACTERS:]
        raise AssertionError(f"the machine does not boot ({state}):\n{console}")

    def power_off(self) -> None:
        """As an administrator does."""
        self.run("systemctl poweroff", check=False)
        self.process.wait(STOP_SECONDS)


@contextmanager
def booted(tree: Path, name: str, network: Network, *, binds: Mapping[Path, str] | None = None) -> Iterator[Container]:
    """Boot it, until the end. `binds` are files and directories of this machine that stand in for some of its own."""
    group = host.cgroup2() / host.own(name)
    group.mkdir(exist_ok=True)
    console = tree.parent / "console.log"
    command = [
        *("systemd-nspawn", "--quiet", f"--directory={tree}", f"--machine={host.own(name)}", "--boot"),
        # There may be no systemd on this machine.
        *("--register=no", "--keep-unit", "--console=pipe", "--resolv-conf=off", "--timezone=off"),
        # With these, address filters and sandboxes are enforced; the clock is this machine's own.
        *("--capability=all", "--drop-capability=CAP_SYS_TIME", "--system-call-filter=bpf"),
        f"--network-namespace-path={network.path}",
        *(f"--bind-ro={outside}:{inside}" for outside, inside in (binds or {}).items()),
    ]
    # A control group of its own: all containers without one share one.
    script = f"echo $$ > {shlex.quote(str(group))}/cgroup.procs && exec {shlex.join(command)}"
    with console.open("ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", script],
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_LOCK": "0"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - prctl is one system call, safe between fork and exec
        )
    container = Container(process, console)
    try:
        yield container
    finally:
        if process.poll() is None:
            try:
                container.power_off()
            except (subprocess.TimeoutExpired, OSError):
                process.kill()
                process.wait()
        host.remove_cgroups()
