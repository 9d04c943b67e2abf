"""The image with a kernel of its own, in qemu: `make image-test-vm`, by hand, some 15 minutes.

What a container cannot show: the kernel's limits on memory, cloud-init as on EC2 (by what the SMBIOS says and the
metadata service tells) with the user data of cloudformation/bucketzip.yaml, and a boot from a disk. Not the boot
loader: on AWS that is the one of Debian's own image.
"""

import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import boto3
import requests
import yaml

from bucketzip.embedded import EmbeddedS3
from tests.faults.imds import RoleCredentials
from tests.image import host, trees
from tests.image.bake import BUILD, baked, remove, wheelhouse
from tests.image.instance import BUCKET, answering
from tests.image.metadata import MetadataTree
from tests.image.network import network, vpc
from tests.image.qemu import GUEST, GUESTS_HOST, HTTP_PORT, MAC, MEMORY_MIB, Disk, Vm, say, started
from tests.image.template import resources

PACKAGES = f"{trees.PACKAGES},linux-image-cloud-amd64,initramfs-tools,cloud-init,netplan.io,systemd-resolved,locales"
PORT = 8080
"""Another than the image's own, as the template's parameter has it set."""
ANSWER_SECONDS = 600
SECRETS = "/var/lib/bucketzip/instance.key /var/lib/bucketzip/initial-user.json /etc/ssh/ssh_host_ed25519_key"


def main() -> None:
    """Say what was seen."""
    BUILD.mkdir(parents=True, exist_ok=True)
    host.require(BUILD)
    host.sweep()
    home = Path(tempfile.mkdtemp(prefix=host.own(""), dir=BUILD))
    try:
        check(home, make_disk(home))
    finally:
        remove(home)


def make_disk(home: Path) -> Disk:
    """Of an image that is built for it."""
    wheelhouse()
    base = trees.unpack(trees.base_tar(BUILD, PACKAGES), home / "base")
    (base / "etc/cloud/cloud-init.disabled").touch()  # the bake is in a container
    (base / "etc/systemd/system/systemd-networkd-wait-online.service").symlink_to("/dev/null")
    with network("bake") as inside:
        image = baked(home, base, inside)
    say("baked")
    key, disk = home / "key", home / "disk.raw"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with trees.over(*image.layers, home=home / "vm") as tree:
        (tree / "etc/cloud/cloud-init.disabled").unlink()
        (tree / "etc/systemd/system/systemd-networkd-wait-online.service").unlink()
        (tree / "etc/cloud/cloud.cfg.d/90-admin.cfg").write_text("system_info: {default_user: {name: admin}}\n")
        (tree / "etc/fstab").write_text("/dev/vda / ext4 defaults 0 1\n")
        with disk.open("wb") as file:
            file.truncate(4 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "root", "-d", tree, disk], check=True)
        kernel, initrd = (next(iter((tree / "boot").glob(f"{name}-*"))) for name in ("vmlinuz", "initrd.img"))
        copies = [home / kernel.name, home / initrd.name]
        for source, copy in zip((kernel, initrd), copies, strict=True):
            copy.write_bytes(source.read_bytes())
    return Disk(disk, copies[0], copies[1], key)


def user_data(endpoint: str) -> str:
    """The template's, with its parameters filled in, and S3 elsewhere."""
    text, _ = resources()["LaunchTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]
    parameters = dict.fromkeys(("StateVolume", "TrustedCidrs", "SecretParameter", "DestinationBuckets"), "")
    for name, value in {**parameters, "Sources": BUCKET, "Port": str(PORT)}.items():
        assert f"${{{name}}}" in text
        text = text.replace(f"${{{name}}}", value)
    assert "${" not in text
    config = yaml.safe_load(text)
    config["write_files"][0]["content"] += f"AWS_ENDPOINT_URL_S3={endpoint}\n"
    return f"#cloud-config\n{yaml.safe_dump(config)}"


def check(home: Path, disk: Disk) -> None:
    """Boot it, use it, exhaust it, boot it again."""
    with ExitStack() as stack:
        _, around = stack.enter_context(vpc("vm"))
        stack.enter_context(around.entered())
        s3 = stack.enter_context(EmbeddedS3(bucket=BUCKET))
        imds = MetadataTree(
            public_key=disk.key.with_suffix(".pub").read_text().strip(),
            user_data=user_data(s3.endpoint_url.replace("127.0.0.1", GUESTS_HOST)),
            address=GUEST,
            mac=MAC,
        )
        imds.credentials = RoleCredentials(access_key=s3.access_key, secret_key=s3.secret_key, token="")
        stack.enter_context(answering(imds, around))
        vm = stack.enter_context(started(home, disk, PORT))
        boot = vm.wait_until_running()
        say("running")
        assert "DataSourceEc2Local" in vm.run("sudo cat /run/cloud-init/result.json")
        assert vm.run("sudo cloud-init status") == "status: done"
        say("cloud-init took it for EC2, let its key in and applied its user data")
        download(vm, s3)
        say("a ZIP was downloaded")
        exhaust(vm)
        download(vm, s3)
        say("the kernel holds the slice to its memory, and what serves goes on")
        before = vm.run(f"sudo sha256sum {SECRETS}")
        vm.run("sudo systemctl reboot", check=False)
        vm.wait_until_running(after_boot=boot)
        assert vm.run(f"sudo sha256sum {SECRETS}") == before
        download(vm, s3)
        say("after a reboot all secrets are the same, and it serves")


def exhaust(vm: Vm) -> None:
    """Something of the slice wants all of its memory and more: it is ended, at once, and the others are not."""
    limit = int(vm.run("cat /sys/fs/cgroup/bucketzip.slice/memory.max"))
    assert 0.8 < limit / (MEMORY_MIB << 20) < 0.95, limit
    restarts = "systemctl show --value --property=NRestarts 'bucketzip@*.service' bucketzip-worker.service"
    before, began = vm.run(restarts), time.monotonic()
    hog = "/usr/bin/python3 -c 'import itertools; [bytearray(1 << 20) for _ in itertools.count()]'"
    said = vm.run(f"sudo systemd-run --wait --slice=bucketzip.slice --unit=hog {hog} 2>&1", check=False)
    assert "oom-kill" in said, said
    say(f"    ended after {time.monotonic() - began:.0f} s")
    assert vm.run(restarts) == before


def download(vm: Vm, s3: EmbeddedS3) -> None:
    """By a client outside, with the first user's token."""
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
    )
    client.put_object(Bucket=BUCKET, Key="a/one.txt", Body=b"one" * 1000)
    base, headers = f"http://127.0.0.1:{HTTP_PORT}", {"Authorization": f"Bearer {vm.run('sudo bucketzip user token')}"}
    asked = requests.post(
        f"{base}/downloads", json={"sources": [f"s3://{BUCKET}/a/"]}, headers=headers, timeout=ANSWER_SECONDS
    )
    assert asked.status_code == 201, asked.text
    path = asked.json()["url"].partition("/d/")[2]
    got = requests.get(f"{base}/d/{path}", timeout=ANSWER_SECONDS)
    assert got.status_code == 200
    assert b"one" * 1000 in got.content


if __name__ == "__main__":
    main()
