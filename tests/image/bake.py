"""The real `packer build` of packer/, with the real Ansible by SSH, into a booted Debian."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bucketzip import __version__
from tests.image import ec2, trees
from tests.image.container import booted
from tests.image.network import Network, relay

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build/image"
TOOLS = Path(os.environ.get("IMAGE_TOOLS", ROOT / ".venv/servers/image/bin"))
"""Ansible, moto and linters: an environment of their own (tests/image/tools.lock)."""
BUILD_SECONDS = 900


@dataclass(frozen=True)
class Baked:
    """What a build made, and what it said and asked for meanwhile."""

    layers: tuple[Path, ...]
    """Trees, the topmost first: what the build wrote, and what it wrote over."""
    said: str
    asked: ec2.Ec2
    manifest: Path
    images: list[dict[str, object]]
    left: dict[str, int]
    """Of what Packer makes for the time of a build, how many are still there."""


def baked(home: Path, base: Path, network: Network) -> Baked:
    """Build it once."""
    with ExitStack() as stack:
        asked = stack.enter_context(ec2.running_ec2(home / "ec2", TOOLS, network))
        tree = stack.enter_context(trees.over(base, home=home / "baked"))
        prepare(tree)
        with mirrored(network, home, "127.0.1.1", "127.0.1.2") as binds:
            container = stack.enter_context(booted(tree, "bake", network, binds=binds))
            container.wait_until_running()
            stack.enter_context(ec2.metal(tree, network))
            manifest = home / "manifest.json"
            with network.entered():
                said = packer_build(manifest)
                api = ec2.client()
                images = api.describe_images(Owners=["self"])["Images"]
                left = {
                    "key pairs": len(api.describe_key_pairs()["KeyPairs"]),
                    "groups": len(
                        [g for g in api.describe_security_groups()["SecurityGroups"] if "acker" in g["GroupName"]]
                    ),
                    "instances": len([i for i in ec2.instances(api) if i["State"]["Name"] != "terminated"]),
                }
            container.power_off()
    return Baked((home / "baked/upper", base), said, asked, manifest, images, left)


def packer_build(manifest: Path) -> str:
    """What it says."""
    with tempfile.TemporaryDirectory() as temporary:  # Packer leaves a private key in its temporary directory
        done = subprocess.run(
            [
                *(
                    "packer",
                    "build",
                    "-color=false",
                    "-var",
                    f"version={__version__}",
                    "-var",
                    f"ec2_endpoint={ec2.ENDPOINT}",
                ),
                *("-var", "ssh_host=127.0.0.1", "-var", f"python={sys.executable}", "-var", f"manifest={manifest}"),
                str(ROOT / "packer"),
            ],
            env=packer_environment() | {"TMPDIR": temporary, "HOME": temporary},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-8000:]
    return done.stdout


def packer_environment() -> dict[str, str]:
    """It finds Ansible on the PATH, and calls nobody."""
    return {
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "CHECKPOINT_DISABLE": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "LANG": "C.UTF-8",
    }


def prepare(tree: Path) -> None:
    """What Debian's AMI has once cloud-init ran: the user admin, who is root by sudo; host keys; a machine id."""
    subprocess.run(["chroot", tree, "useradd", "--create-home", "--shell", "/bin/bash", "admin"], check=True)
    (tree / "etc/sudoers.d/90-cloud-init-users").write_text("admin ALL=(ALL) NOPASSWD:ALL\n")
    (tree / "etc/machine-id").write_text("")
    (tree / "etc/hostname").write_text("localhost\n")  # mmdebstrap puts this machine's there


@contextmanager
def mirrored(network: Network, home: Path, *addresses: str) -> Iterator[dict[Path, str]]:
    """Debian's mirrors are reached by their names, at addresses of the namespace; what stands in for /etc/hosts."""
    where = trees.mirrors()
    names = ["127.0.0.1 localhost"]
    with ExitStack() as stack:
        servers = {(url.hostname or "", url.port or 80) for url in map(urlsplit, (where.main, where.security))}
        for address, server in zip(addresses, sorted(servers), strict=False):
            stack.enter_context(relay(network, (address, server[1]), server))
            names.append(f"{address} {server[0]}")
        hosts = home / f"hosts-{network.name}"
        hosts.write_text("\n".join(names) + "\n")
        yield {hosts: "/etc/hosts"}


def wheelhouse() -> Path:
    """The tar of wheels, made of this tree."""
    subprocess.run([sys.executable, ROOT / "ansible/wheelhouse.py", architecture()], check=True, stdout=subprocess.PIPE)
    return BUILD / f"wheelhouse-{architecture()}.tar"


def architecture() -> str:
    """This machine's, as Debian names it."""
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def remove(home: Path) -> None:
    """All of it."""
    shutil.rmtree(home, ignore_errors=True)
