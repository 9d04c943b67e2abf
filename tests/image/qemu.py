"""A machine in qemu, by emulation: every machine can do that, 10 to 40 times slower than its own processor."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bucketzip.embedded import die_with_parent

GUESTS_HOST = "10.0.2.2"
"""This machine's loopback, as qemu shows it to the guest."""
GUEST, MAC = "10.0.2.15", "52:54:00:12:34:56"
"""qemu's own defaults."""
SSH_PORT, HTTP_PORT = 18822, 18880
MEMORY_MIB = 2048
EC2_UUID = "ec2a1b2c-0000-4000-8000-0123456789ab"
SMBIOS = f"type=1,manufacturer=Amazon EC2,product=t3.small,serial={EC2_UUID},uuid={EC2_UUID}"
"""By which cloud-init knows EC2."""
KERNEL_OPTIONS = (
    "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 random.trust_cpu=on mitigations=off "
    # What takes a second on EC2 may take minutes.
    "systemd.default_timeout_start_sec=1800 systemd.default_device_timeout_sec=1800"
)
BOOT_SECONDS = 3600.0
"""The machine may be shared; whoever waits is told for what."""
COMMAND_SECONDS = 900
SHOWN_CHARACTERS = 4000
BEGAN = time.monotonic()


@dataclass(frozen=True)
class Disk:
    """What a machine is booted from, and the key of its administrator."""

    image: Path
    kernel: Path
    first_files: Path
    key: Path


class Vm:
    """A booted one, reached as its administrator, over one connection: each costs the guest seconds."""

    def __init__(self, process: subprocess.Popen[bytes], key: Path, console: Path, control: Path) -> None:
        self._process = process
        self._console = console
        self._ssh = [
            *("ssh", "-i", str(key), "-p", str(SSH_PORT), "-o", "StrictHostKeyChecking=no"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60"),
            *("-o", "ControlMaster=auto", "-o", f"ControlPath={control}", "-o", "ControlPersist=yes"),
            *("-o", "ServerAliveInterval=20", "-o", "ServerAliveCountMax=6", "admin@127.0.0.1"),
        ]

    def run(self, command: str, *, check: bool = True) -> str:
        """What a command prints there."""
        # Files, since the connection stays after the command and would keep pipes open.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            status = subprocess.run(
                [*self._ssh, command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                timeout=COMMAND_SECONDS,
                check=False,
            ).returncode
            said, wrong = (_text(each) for each in (output, errors))
        if check and status:
            raise AssertionError(f"{command!r} ended with {status}:\n{said}\n{wrong}")
        return said

    def wait_until_running(self, after_boot: str = "none") -> str:
        """With cloud-init and all else, in another boot than that of this id; returns the id of this one."""
        deadline = time.monotonic() + BOOT_SECONDS
        look = (
            "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running; "
            "systemctl list-jobs --no-legend | awk '$4 == \"running\" { print $2 }'"
        )
        told = ""
        while True:
            assert self._process.poll() is None, f"qemu ended:\n{self._shown()}"
            boot, state, *jobs = [*self.run(look, check=False).split(), "", ""]
            if state in {"running", "degraded"} and boot != after_boot:
                break
            reached = state == "starting" and boot != after_boot
            units = " ".join(jobs).strip() or "the last units"
            waiting = f"{units} to start" if reached else f"SSH; the console: {self._last_line()}"
            if waiting != told:
                say(f"    waiting for {waiting}")
                told = waiting
            assert time.monotonic() < deadline, f"{state}:\n{self._shown()}"
            time.sleep(5)
        assert state == "running", self.run(
            "systemctl --failed --no-pager; sudo journalctl -p warning -b --no-pager", check=False
        )
        return boot

    def _shown(self) -> str:
        return self._console.read_text(errors="replace")[-SHOWN_CHARACTERS:]

    def _last_line(self) -> str:
        lines = ["".join(filter(str.isprintable, line)).strip() for line in self._shown().splitlines()]
        return next((line for line in reversed(lines) if line), "nothing yet")[:100]


@contextmanager
def started(home: Path, disk: Disk, port: int) -> Iterator[Vm]:
    """Boot it; what the guest has at the port is at HTTP_PORT here."""
    console = home / "console.log"
    forwards = f"hostfwd=tcp:127.0.0.1:{SSH_PORT}-:22,hostfwd=tcp:127.0.0.1:{HTTP_PORT}-:{port}"
    with console.open("ab") as log, tempfile.TemporaryDirectory() as control:
        process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-m", str(MEMORY_MIB), "-smp", "2"),
                *("-nographic", "-nodefaults", "-serial", "stdio", "-kernel", disk.kernel, "-initrd", disk.first_files),
                *("-append", KERNEL_OPTIONS),
                *("-smbios", SMBIOS),
                *("-drive", f"file={disk.image},format=raw,if=virtio,cache=unsafe", "-netdev", f"user,id=n,{forwards}"),
                *("-device", f"virtio-net-pci,netdev=n,mac={MAC}", "-object", "rng-random,id=r,filename=/dev/urandom"),
                *("-device", "virtio-rng-pci,rng=r"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(),  # noqa: PLW1509 - prctl is one system call, safe between fork and exec
        )
        try:
            yield Vm(process, disk.key, console, Path(control) / "ssh")
        finally:
            process.kill()
            process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()


def say(what: str) -> None:
    """With the seconds since the start."""
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.0f} s  {what}\n")
    sys.stdout.flush()
