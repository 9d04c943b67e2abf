"""What this machine must allow for it, and what an earlier run that was killed left on it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

PREFIX = "bucketzip-image"
PROGRAMS = ("ip", "mmdebstrap", "mount", "nsenter", "packer", "ssh-keygen", "systemd-nspawn", "umount")


class CannotRun(Exception):
    """Why it cannot be shown here that the image works: nothing is skipped."""


def require() -> None:
    """Raise CannotRun with all that is missing."""
    missing = [f"{name} (tests/image/apt-packages.txt has its package)" for name in PROGRAMS if not shutil.which(name)]
    if os.geteuid() != 0:
        missing.append("root: it makes namespaces, mounts and cgroups")
    elif not missing:
        for what, *command in (
            ("network namespaces", "unshare", "--net", "true"),
            ("mounts", "unshare", "--mount", "true"),
        ):
            if subprocess.run(command, capture_output=True, check=False).returncode:
                missing.append(f"{what}: the kernel, or what this machine runs in, refuses them")
    try:
        cgroup2()
    except CannotRun as error:
        missing.append(str(error))
    if missing:
        raise CannotRun("the image cannot be tested here. Missing: " + "; ".join(missing))


def cgroup2() -> Path:
    """Where version 2 of control groups is mounted."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return Path(place)
    raise CannotRun("control groups of version 2, mounted to be written to")


def own(name: str) -> str:
    """A name for something of this run."""
    return f"{PREFIX}-{os.getpid()}-{name}"


def sweep() -> None:
    """Remove what runs left that are no longer there: mounts, network namespaces, control groups."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in reversed([place for place in mounts if _dead(place)]):
        subprocess.run(["umount", "--lazy", place], check=False)
    for namespace in Path("/run/netns").glob(f"{PREFIX}-*"):
        if _dead(namespace.name):
            subprocess.run(["ip", "netns", "delete", namespace.name], check=False)
    remove_cgroups()


def remove_cgroups() -> None:
    """Those that belong to no run that lives, or to containers of this run that have ended."""
    for hierarchy in {cgroup2(), *Path("/sys/fs/cgroup").glob("systemd")}:
        for group in hierarchy.glob(f"{PREFIX}-*"):
            for each in sorted(group.rglob("*/"), reverse=True):
                _remove_empty(each)
            _remove_empty(group)


def _remove_empty(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:  # a process is in it
        return


def _dead(name: str) -> bool:
    """Whether a run made it that has ended."""
    found = re.search(rf"{PREFIX}-(\d+)-", name)
    return found is not None and not Path(f"/proc/{found[1]}").exists()
