"""`bucketzip attach-state`: an EBS volume for the state, which a new instance takes over from the one before it.

An Auto Scaling group replaces an instance that fails; what it promised (links, jobs) is on the volume. Without
BUCKETZIP_STATE_VOLUME there is nothing to do, and the state lies on the root volume.
"""

import argparse
import logging
import subprocess
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from bucketzip.commands import FAILED, CommandError
from bucketzip.commands.instance_metadata import instance_metadata
from bucketzip.commands.settings import add_settings, read_settings
from bucketzip.logs import configure

_log = logging.getLogger(__name__)

DEVICE = "/dev/sdf"
"""What EC2 is told; on Nitro the kernel names it otherwise, by the volume's id."""
LOOK_SECONDS = 3.0
WAIT_SECONDS = 900.0
"""For the instance before this one to be gone, and for the device to be there."""
NO_FILE_SYSTEM = 2
"""Of blkid: there is nothing on the device that it knows."""

_EXAMPLES = """examples:
  bucketzip attach-state --state-volume vol-0123456789abcdef0 --state-dir /var/lib/bucketzip
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "attach-state",
        description="Attach the EBS volume that holds the state to this instance, and mount it on the state directory. "
        "A volume with nothing on it gets a file system. Waits until no other instance has it. Safe to run again.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings(parser, ["state_volume", "state_dir", "log_format", "log_level"])
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit status."""
    settings = read_settings(options)
    configure(settings.log_format, settings.log_level)
    if not settings.state_volume or settings.state_dir.is_mount():
        return 0
    try:
        instance, region = instance_metadata("instance-id"), instance_metadata("placement/region")
        attach(Session().create_client("ec2", region_name=region), settings.state_volume, instance)
    except (BotoCoreError, ClientError, HTTPException, OSError) as error:
        raise CommandError(f"the volume {settings.state_volume} could not be attached: {error}", FAILED) from error
    mount(device_of(settings.state_volume), settings.state_dir)
    return 0


def attach(ec2: Any, volume: str, instance: str) -> None:
    """Have the volume attached to this instance, once no other has it; raises CommandError and botocore's errors."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        (found,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
        if any(each["InstanceId"] == instance for each in found["Attachments"]):
            return
        if found["State"] == "available":
            ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device=DEVICE)
            _log.info("attached %s", volume)
            return
        others = ", ".join(each["InstanceId"] for each in found["Attachments"])
        if time.monotonic() > deadline:
            raise CommandError(f"the volume {volume} is still attached to {others or 'something else'}")
        _log.info("waiting for %s, which %s has", volume, others or "something else")
        time.sleep(LOOK_SECONDS)


def device_of(volume: str) -> Path:
    """Where the kernel has it, whatever the device is called."""
    return Path(f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}")


def mount(device: Path, directory: Path) -> None:
    """Mount it, with a file system if there is none yet; raises CommandError."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not device.exists():
        if time.monotonic() > deadline:
            raise CommandError(f"{device} does not appear: is this a Nitro instance?")
        time.sleep(LOOK_SECONDS)
    if _status("blkid", "--probe", str(device)) == NO_FILE_SYSTEM:
        _run("mkfs.ext4", "-q", "-L", "bucketzip-state", str(device))
        _log.info("made a file system on %s", device)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _run("mount", "-o", "noatime,nodev,nosuid,noexec", str(device), str(directory))


def _run(*command: str) -> None:
    if status := _status(*command):
        raise CommandError(f"{command[0]} ended with {status}; what it said stands above")


def _status(*command: str) -> int:
    return subprocess.run(command, check=False).returncode  # noqa: S603  -- our own arguments, no shell
