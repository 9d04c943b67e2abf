"""What can be said of the files alone."""

import subprocess
from pathlib import Path

import pytest

from tests.image.bake import ROOT, TOOLS, packer_environment


def said(*command: str | Path, directory: Path = ROOT) -> str:
    """What a checker says, which must end with 0."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=packer_environment() | {"HOME": "/nonexistent", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_packers_template_is_formatted() -> None:
    assert said("packer", "fmt", "-check", "packer") == ""


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_packer_takes_its_template(architecture: str) -> None:
    said("packer", "validate", "-var", "version=1.2.3", "-var", f"architecture={architecture}", "packer")


def test_packer_refuses_another_architecture() -> None:
    with pytest.raises(AssertionError, match="Invalid value"):
        said("packer", "validate", "-var", "version=1.2.3", "-var", "architecture=i386", "packer")


def test_the_playbook_is_clean(tmp_path: Path) -> None:
    said(TOOLS / "ansible-lint", "--offline", "--profile", "production", "image.yml", directory=ROOT / "ansible")


def test_the_template_of_cloudformation_is_clean() -> None:
    assert said(TOOLS / "cfn-lint", "cloudformation/bucketzip.yaml") == ""


@pytest.mark.parametrize(
    "script", ["packer/scripts/cleanup.sh", "packer/scripts/validate.sh", "systemd/bucketzip-generator"]
)
def test_scripts_are_for_any_shell(script: str) -> None:
    assert said("dash", "-n", script) == ""
