"""The playbook on an instance that has it already, by SSH and through its firewall, as an administrator runs it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.image.bake import ROOT, TOOLS, packer_environment
from tests.image.instance import Instance
from tests.image.network import MACHINE


@pytest.fixture
def key(instances: tuple[Instance, Instance], tmp_path: Path) -> Path:
    """One that cloud-init would have let in."""
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made], check=True)
    public = made.with_suffix(".pub").read_text()
    instances[1].machine.run(
        "install -d -o admin -g admin -m 700 /home/admin/.ssh && "
        f"echo '{public.strip()}' | install -o admin -g admin -m 600 /dev/stdin /home/admin/.ssh/authorized_keys"
    )
    return made


def test_a_second_run_changes_nothing(instances: tuple[Instance, Instance], key: Path, tmp_path: Path) -> None:
    with instances[1].around.entered():
        done = subprocess.run(
            [TOOLS / "ansible-playbook", "-i", f"{MACHINE},", "-u", "admin", "--private-key", key, "image.yml"],
            cwd=ROOT / "ansible",
            env=packer_environment()
            | {"HOME": str(tmp_path), "ANSIBLE_HOST_KEY_CHECKING": "False", "ANSIBLE_PIPELINING": "True"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"changed=0 .*failed=0", done.stdout), done.stdout[-6000:]
