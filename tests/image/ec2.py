"""EC2 as Packer sees it: moto, which records what it is asked, and a booted container in the place of each instance."""

import base64
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3

from tests.image.network import Network

PORT = 5000
ENDPOINT = f"http://127.0.0.1:{PORT}"
REGION = "us-east-1"
BASE_IMAGE = {
    "ami_id": "ami-0debian13fake00001",
    "name": "debian-13-amd64-20261101-2286",
    "owner_id": "136693071363",  # Debian's own, so that the template's filter is used as it is
    "public": True,
    "virtualization_type": "hvm",
    "architecture": "x86_64",
    "state": "available",
    "platform": None,
    "image_type": "machine",
    "hypervisor": "xen",
    "root_device_name": "/dev/xvda",
    "root_device_type": "ebs",
    "description": "stands in for Debian's",
    "creation_date": "2026-11-01T00:00:00.000Z",
    "image_location": "amazon/debian-13-amd64-20261101-2286",
    "sriov": "simple",
}
READY_SECONDS = 180.0
LOOK_SECONDS = 0.2


def client() -> Any:
    """boto3's, of this EC2."""
    return boto3.client(
        "ec2", region_name=REGION, endpoint_url=ENDPOINT, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


class Ec2:
    """What it was asked."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def requests(self, action: str) -> list[dict[str, str]]:
        """The parameters of each request for an action, in their order."""
        found = []
        for line in self._record.read_text().splitlines():
            told = json.loads(line)
            body = told.get("body") or ""
            text = base64.b64decode(body).decode() if told.get("body_encoded") else body
            parameters = dict(parse_qsl(text, keep_blank_values=True))
            if parameters.get("Action") == action:
                found.append(parameters)
        return found


@contextmanager
def running_ec2(home: Path, tools: Path, network: Network) -> Iterator[Ec2]:
    """In the namespace."""
    home.mkdir()
    images, record = home / "images.json", home / "requests.jsonl"
    images.write_text(json.dumps([BASE_IMAGE]))
    with network.entered(), (home / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [tools / "moto_server", "--host", "127.0.0.1", "--port", str(PORT)],
            env={
                "PATH": "/usr/bin:/bin",
                "MOTO_AMIS_PATH": str(images),
                "MOTO_ENABLE_RECORDING": "true",
                "MOTO_RECORDER_FILEPATH": str(record),
            },
            stdout=log,
            stderr=log,
        )
    try:
        with network.entered():
            _wait(process)
        yield Ec2(record)
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):
            return
        assert process.poll() is None, "moto ended"
        assert time.monotonic() < deadline, "moto does not answer"
        time.sleep(LOOK_SECONDS)


@contextmanager
def metal(tree: Path, network: Network) -> Iterator[None]:
    """Do for new instances what cloud-init does: let their key pair in, as admin."""
    ending = threading.Event()

    def work() -> None:
        with network.entered():
            ec2, known = client(), set[str]()
            while not ending.wait(LOOK_SECONDS):
                for instance in instances(ec2):
                    if instance["InstanceId"] not in known and "KeyName" in instance:
                        known.add(instance["InstanceId"])
                        _let_in(tree, ec2, instance["KeyName"])

    working = threading.Thread(target=work)
    working.start()
    try:
        yield
    finally:
        ending.set()
        working.join()


def instances(ec2: Any) -> list[dict[str, Any]]:
    """All that there were."""
    reservations = ec2.describe_instances()["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def _let_in(tree: Path, ec2: Any, key_name: str) -> None:
    (pair,) = ec2.describe_key_pairs(KeyNames=[key_name], IncludePublicKey=True)["KeyPairs"]
    kind, key, *_ = pair["PublicKey"].split()
    directory = tree / "home/admin/.ssh"
    directory.mkdir(mode=0o700, exist_ok=True)
    keys = directory / "authorized_keys"
    keys.write_text(f"{kind} {key} {key_name}\n")  # Packer removes the lines that end in the name
    owner = (tree / "home/admin").stat()
    for path in (directory, keys):
        os.chown(path, owner.st_uid, owner.st_gid)
