"""What this machine must allow for it, and what an earlier run that was killed left on it."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

PREFIX = "bucketzip-image"
PROGRAMS = (
    *("blkid", "chroot", "curl", "ip", "losetup", "mkfs.ext4", "mmdebstrap", "mount", "nsenter", "packer"),
    *("ssh-keygen", "systemd-nspawn", "umount", "unshare"),
)

TRIALS = {
    "namespaces, which the kernel, or what this machine runs in, refuses": (
        "unshare --net --mount --pid --uts --ipc --fork --mount-proc true"
    ),
    "overlays of directories here": (
        "mkdir lower upper work merged && unshare --mount "
        "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged"
    ),
    "loop devices": "truncate --size=1M disk && device=$(losetup --find --show disk) && losetup --detach $device",
}
"""Shell commands by what they show to be possible, each in an empty directory."""


class CannotRun(Exception):
    """Why it cannot be shown here that the image works: nothing is skipped."""


def require(directory: Path) -> None:
    """Raise CannotRun with all that is missing; the directory is where trees will be."""
    missing = [f"{name} (tests/image/apt-packages.txt has its package)" for name in PROGRAMS if not shutil.which(name)]
    if os.geteuid() != 0:
        missing.append("root: it makes namespaces, mounts and cgroups")
    elif not missing:
        with tempfile.TemporaryDirectory(dir=directory) as name:
            for what, script in TRIALS.items():
                done = subprocess.run(["sh", "-c", script], cwd=name, capture_output=True, text=True, check=False)
                if done.returncode:
                    missing.append(f"{what} ({done.stderr.strip()})")
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
