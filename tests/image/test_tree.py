"""The image as files: nothing of the build is in it, and its services may do as little as they can."""

import os
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.image import trees
from tests.image.bake import ROOT, Baked

SERVICES = ("bucketzip@.service", "bucketzip-worker.service", "bucketzip-firstboot.service")
MOST_EXPOSURE = 1.5
ALL_UNITS = (
    "bucketzip.target",
    "bucketzip.socket",
    "bucketzip.slice",
    "bucketzip@1.service",
    "bucketzip-state.service",
    *SERVICES[1:],
)


@pytest.fixture
def tree(image: Baked, tmp_path_factory: pytest.TempPathFactory, home: Path) -> Iterator[Path]:
    """The image's, to be written to."""
    with trees.over(*image.layers, home=home / f"tree-{tmp_path_factory.mktemp('x').name}") as tree:
        yield tree


def inside(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["chroot", tree, *command], capture_output=True, text=True, check=False)


def validated(tree: Path) -> subprocess.CompletedProcess[str]:
    """What packer/scripts/validate.sh finds, which the build itself has run too."""
    return subprocess.run(
        ["sh", ROOT / "packer/scripts/validate.sh", tree], capture_output=True, text=True, check=False
    )


def test_nothing_of_the_build_is_left(tree: Path) -> None:
    done = validated(tree)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "validate: nothing is wrong\n"
    assert not any((tree / "home/admin/.ssh").glob("authorized_keys*"))


def append(path: str, text: str) -> Callable[[Path], None]:
    def do(tree: Path) -> None:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        with (tree / path).open("a") as file:
            file.write(text)

    return do


def replace(path: str, old: str, new: str) -> Callable[[Path], None]:
    def do(tree: Path) -> None:
        text = (tree / path).read_text()
        assert old in text
        (tree / path).write_text(text.replace(old, new))

    return do


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (append("etc/ssh/ssh_host_ed25519_key", "x"), "SSH host keys"),
        (append("etc/machine-id", "0123456789abcdef0123456789abcdef\n"), "machine-id"),
        (lambda tree: (tree / "etc/machine-id").unlink(), "machine-id"),
        (append("var/lib/bucketzip/instance.key", "x"), "secrets of one instance"),
        (append("home/admin/.ssh/authorized_keys", "ssh-ed25519 AAAA somebody\n"), "authorized keys"),
        (append("root/.ssh/id_ed25519", "x"), "private keys"),
        (append("etc/bucketzip/key.pem", "-----BEGIN PRIVATE KEY-----\n"), "private keys"),
        (append("etc/shadow", "eve:$6$salt$hash:20000::::::\n"), "users with a password, or an empty one: eve"),
        (append("etc/shadow", "eve::20000::::::\n"), "users with a password, or an empty one: eve"),
        (append("root/.aws/credentials", "aws_access_key_id = AKIAABCDEFGHIJKLMNOP\n"), "keys of AWS"),
        (replace("etc/ssh/sshd_config.d/10-keys-only.conf", "PermitRootLogin no", ""), "permitrootlogin no"),
        (append("home/admin/.bash_history", "ls\n"), "histories"),
        (append("var/log/syslog", "line\n"), "logs"),
        (append("var/cache/apt/archives/x.deb", "x"), "packages that were downloaded"),
        (append("var/tmp/x", "x"), "leftovers in /var/tmp"),
        (lambda tree: (tree / "etc/nftables.conf").unlink(), "/etc/nftables.conf is missing"),
        (lambda tree: (tree / "etc/bucketzip/bucketzip.env").chmod(0o666), "files that anybody may write"),
    ],
)
def test_validation_finds_what_must_not_be(plant: Callable[[Path], None], found: str, tree: Path) -> None:
    plant(tree)
    done = validated(tree)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert found in done.stderr


def test_units_are_right(tree: Path) -> None:
    """By the image's own systemd. It ends with 0 whatever it finds, so what it says counts."""
    done = inside(tree, "systemd-analyze", "verify", "--man=no", *ALL_UNITS)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "bucketzip" in line]
    assert said == []


@pytest.mark.parametrize("service", SERVICES)
def test_services_may_do_little(service: str, tree: Path, record_property: Callable[[str, object], None]) -> None:
    done = inside(tree, "systemd-analyze", "security", "--offline=true", "--no-pager", service)
    exposure = float(re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)[1])  # type: ignore[index]  # else the test fails here
    record_property("exposure", exposure)
    assert exposure <= MOST_EXPOSURE, done.stdout


def test_it_is_debian_13_with_what_is_needed(tree: Path) -> None:
    assert 'VERSION_ID="13"' in (tree / "etc/os-release").read_text()
    assert inside(tree, "/opt/bucketzip/bin/python", "--version").stdout.startswith("Python 3.13.")
    assert inside(tree, "/opt/bucketzip/bin/python", "-m", "pip", "check").returncode == 0
    assert inside(tree, "/opt/bucketzip/bin/bucketzip", "version").stdout.startswith("bucketzip ")
    enabled = {unit.name for unit in (tree / "etc/systemd/system/multi-user.target.wants").iterdir()}
    assert enabled >= {"bucketzip.target", "chrony.service", "ssh-host-keys.service", "unattended-upgrades.service"}


def test_it_has_what_the_product_needs_and_nothing_of_its_development(tree: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = names(project["dependencies"])
    extras = {name for extra in project["optional-dependencies"].values() for name in names(extra)}
    (packages,) = (tree / "opt/bucketzip/lib").glob("python3.*/site-packages")
    installed = names([path.name.partition("-")[0] for path in packages.glob("*.dist-info")])
    needed.add("bucketzip")  # which extras name too
    assert installed >= needed
    assert not installed & (extras - needed)


def names(requirements: list[str]) -> set[str]:
    """Of packages, in the spelling that all spellings have in common."""
    return {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", each)[0]).lower() for each in requirements}


def test_the_service_cannot_change_its_program(tree: Path) -> None:
    """Nor its settings, which hold no secret but may name where archives go."""
    for directory, _, names in os.walk(tree / "opt/bucketzip"):
        for name in names:
            status = (Path(directory) / name).lstat()
            assert (status.st_uid, status.st_gid) == (0, 0)
    assert (tree / "etc/bucketzip/bucketzip.env").stat().st_mode & 0o777 == 0o640
