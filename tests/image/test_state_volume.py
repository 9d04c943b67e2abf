"""The volume for the state, as a disk: `attach` is tried in test_cloudformation.py."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucketzip.commands.attach_state import device_of, mount


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A disk with nothing on it."""
    file = tmp_path / "disk"
    with file.open("wb") as disk:
        disk.truncate(64 << 20)
    found = subprocess.run(["losetup", "--find", "--show", file], check=True, capture_output=True, text=True).stdout
    yield Path(found.strip())
    subprocess.run(["losetup", "--detach", found.strip()], check=True)


def test_a_new_one_gets_a_file_system_and_an_old_one_keeps_its_own(device: Path, tmp_path: Path) -> None:
    for directory, there in ((tmp_path / "one", []), (tmp_path / "two", ["link"])):
        mount(device, directory)
        try:
            assert [path.name for path in directory.iterdir() if path.name != "lost+found"] == there
            (directory / "link").touch()
        finally:
            subprocess.run(["umount", directory], check=True)


def test_a_volume_is_found_by_its_id() -> None:
    assert device_of("vol-0abc1") == Path("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc1")
