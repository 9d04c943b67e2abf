"""Trees of files that machines are booted from: Debian's own, and what is written over it."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

# What Debian's AMI has of what matters here, but the kernel and cloud-init; the playbook installs the rest.
PACKAGES = (
    "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,udev,python3,python3-apt,ca-certificates,"
    "openssh-server,iproute2,procps,sudo,curl,less"
)
WEEK_SECONDS = 7 * 86400


@dataclass(frozen=True)
class Mirrors:
    """Where this machine's own packages come from."""

    main: str
    security: str


def mirrors() -> Mirrors:
    """As apt has them, which has to be Debian's."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME)", "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: dict[bool, str] = {}
    for uri, origin, codename in (line.split(" ", 2) for line in listed.splitlines() if line.count(" ") == 2):
        if origin == "Debian":
            found.setdefault(codename.endswith("-security"), uri.rstrip("/"))
    if len(found) != 2:
        raise RuntimeError("apt knows no mirror of Debian and of its security updates: run apt-get update")
    return Mirrors(found[False], found[True])


def base_tar(directory: Path, packages: str = PACKAGES, release: str = "trixie") -> Path:
    """Debian, as it is this week: a tar in the directory, made if it is not there. Of two at once one makes it."""
    where = mirrors()
    recipe = f"{release} {packages} {where} {int(time.time() // WEEK_SECONDS)}"
    tar = directory / f"base-{release}-{sha256(recipe.encode()).hexdigest()[:12]}.tar"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "base.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tar.exists():
            _bootstrap(tar, packages, release, where)
    return tar


def _bootstrap(tar: Path, packages: str, release: str, where: Mirrors) -> None:
    draft = tar.with_suffix(".draft.tar")
    sources = [
        f"deb {where.main} {release} main",
        f"deb {where.main} {release}-updates main",
        f"deb {where.security} {release}-security main",
    ]
    wanted = ("--quiet", "--variant=minbase", f"--include={packages}")
    subprocess.run(["mmdebstrap", *wanted, release, draft, *sources], check=True)
    draft.rename(tar)


def unpack(tar: Path, directory: Path) -> Path:
    """Make a tree of it."""
    directory.mkdir()
    subprocess.run(["tar", "--extract", "--numeric-owner", "--file", tar, "--directory", directory], check=True)
    return directory


@contextmanager
def over(*lower: Path, home: Path) -> Iterator[Path]:
    """The trees, the topmost first, and above them all that is written from now on, in `home/upper`."""
    merged, upper, work = home / "tree", home / "upper", home / "work"
    for directory in (merged, upper, work):
        directory.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={':'.join(map(str, lower))},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, merged], check=True)
    try:
        yield merged
    finally:
        if subprocess.run(["umount", merged], check=False, capture_output=True).returncode:
            subprocess.run(["umount", "--lazy", merged], check=True)


if __name__ == "__main__":
    base_tar(Path(sys.argv[1]))
