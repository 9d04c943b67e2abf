"""The image with a kernel of its own, in qemu: `make image-test-vm`, by hand, some minutes.

What a container cannot show: the kernel's limits on memory, cloud-init as on EC2 (by what the SMBIOS says and the
metadata service tells), and a boot from a disk. Not the boot loader: on AWS that is the one of Debian's own image.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import requests

from bucketzip.embedded import EmbeddedS3
from tests.faults.imds import RoleCredentials
from tests.image import host, trees
from tests.image.bake import BUILD, baked, remove, wheelhouse
from tests.image.instance import BUCKET, answering
from tests.image.metadata import MetadataTree
from tests.image.network import LINK_LOCAL, network, vpc

PACKAGES = f"{trees.PACKAGES},linux-image-cloud-amd64,initramfs-tools,cloud-init,netplan.io,systemd-resolved,locales"
GUESTS_HOST = "10.0.2.2"
"""This machine's loopback, as qemu shows it to the guest."""
SSH_PORT, HTTP_PORT = 18822, 18880
MEMORY_MIB = 2048
EC2_UUID = "ec2a1b2c-0000-4000-8000-0123456789ab"
SMBIOS = f"type=1,manufacturer=Amazon EC2,product=t3.small,serial={EC2_UUID},uuid={EC2_UUID}"
"""By which cloud-init knows EC2."""
BOOT_SECONDS = 600.0
SECRETS = "/var/lib/bucketzip/instance.key /var/lib/bucketzip/initial-user.json /etc/ssh/ssh_host_ed25519_key"


@dataclass(frozen=True)
class Disk:
    """What a machine is booted from, and the key of its administrator."""

    image: Path
    kernel: Path
    first_files: Path
    key: Path


class Vm:
    """A booted one, reached as its administrator."""

    def __init__(self, process: subprocess.Popen[bytes], key: Path, console: Path) -> None:
        self._process = process
        self._key = key
        self._console = console

    def run(self, command: str, *, check: bool = True) -> str:
        """What a command prints there."""
        options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
        done = subprocess.run(
            [
                "ssh",
                "-i",
                self._key,
                "-p",
                str(SSH_PORT),
                *options,
                "-o",
                "ConnectTimeout=10",
                "admin@127.0.0.1",
                command,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command!r} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def wait_until_running(self, after_boot: str = "none") -> None:
        """With cloud-init and all else; in another boot than that of this id."""
        deadline = time.monotonic() + BOOT_SECONDS
        look = f"! grep -q {after_boot} /proc/sys/kernel/random/boot_id && systemctl is-system-running"
        while (state := self.run(look, check=False)) not in {"running", "degraded"}:
            assert self._process.poll() is None, "qemu ended"
            assert time.monotonic() < deadline, f"{state}: {self._console.read_text(errors='replace')[-4000:]}"
            time.sleep(2)
        assert state == "running", self.run(
            "systemctl --failed --no-pager; sudo journalctl -p warning -b --no-pager", check=False
        )


def main() -> None:
    """Say what was seen."""
    host.require()
    host.sweep()
    BUILD.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=host.own(""), dir=BUILD))
    try:
        disk = _disk(home)
        with ExitStack() as stack:
            _, around = stack.enter_context(vpc("vm"))
            stack.enter_context(around.entered())
            s3 = stack.enter_context(EmbeddedS3(bucket=BUCKET))
            imds = MetadataTree(public_key=disk.key.with_suffix(".pub").read_text().strip(), host=LINK_LOCAL, port=80)
            imds.credentials = RoleCredentials(access_key=s3.access_key, secret_key=s3.secret_key, token="")
            stack.enter_context(answering(imds, around))
            _try(home, disk, s3)
    finally:
        remove(home)


def _disk(home: Path) -> Disk:
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


@contextmanager
def _started(home: Path, disk: Disk) -> Iterator[Vm]:
    """By emulation, which every machine can do; the processor is 10 to 20 times slower than a real one."""
    console = home / "console.log"
    forwards = f"hostfwd=tcp:127.0.0.1:{SSH_PORT}-:22,hostfwd=tcp:127.0.0.1:{HTTP_PORT}-:80"
    with console.open("ab") as log:
        process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-m", str(MEMORY_MIB), "-smp", "2"),
                *("-nographic", "-nodefaults", "-serial", "stdio", "-kernel", disk.kernel, "-initrd", disk.first_files),
                *("-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 random.trust_cpu=on mitigations=off"),
                *(
                    "-smbios",
                    SMBIOS,
                ),
                *("-drive", f"file={disk.image},format=raw,if=virtio,cache=unsafe", "-netdev", f"user,id=n,{forwards}"),
                *("-device", "virtio-net-pci,netdev=n", "-object", "rng-random,id=r,filename=/dev/urandom"),
                *("-device", "virtio-rng-pci,rng=r"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield Vm(process, disk.key, console)
    finally:
        process.kill()
        process.wait()


def _try(home: Path, disk: Disk, s3: EmbeddedS3) -> None:
    with _started(home, disk) as vm:
        vm.wait_until_running()
        say("running")
        assert "DataSourceEc2Local" in vm.run("sudo cat /run/cloud-init/result.json")
        say("cloud-init took it for EC2, and let its key in")
        endpoint = s3.endpoint_url.replace("127.0.0.1", GUESTS_HOST)
        vm.run(f"echo AWS_ENDPOINT_URL_S3={endpoint} | sudo tee -a /etc/bucketzip/bucketzip.env >/dev/null")
        vm.run("sudo systemctl restart bucketzip.target")
        token = vm.run("sudo bucketzip user token")
        _download(vm, s3, token)
        say("a ZIP was downloaded")
        limit = int(vm.run("cat /sys/fs/cgroup/bucketzip.slice/memory.max"))
        assert 0.8 < limit / (MEMORY_MIB << 20) < 0.95, limit
        hog = f"python3 -c 'bytearray({2 * limit})'"
        vm.run(f"sudo systemd-run --wait --slice=bucketzip.slice --unit=hog {hog}", check=False)
        assert "oom" in vm.run("sudo journalctl --unit=hog --no-pager --grep=oom", check=False)
        say("the kernel holds the slice to its memory")
        before = vm.run(f"sudo sha256sum {SECRETS}")
        boot = vm.run("cat /proc/sys/kernel/random/boot_id")
        vm.run("sudo systemctl reboot", check=False)
        vm.wait_until_running(after_boot=boot)
        assert vm.run(f"sudo sha256sum {SECRETS}") == before
        _download(vm, s3, vm.run("sudo bucketzip user token"))
        say("after a reboot all secrets are the same, and it serves")


def _download(vm: Vm, s3: EmbeddedS3, token: str) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
    )
    client.put_object(Bucket=BUCKET, Key="a/one.txt", Body=b"one" * 1000)
    base, headers = f"http://127.0.0.1:{HTTP_PORT}", {"Authorization": f"Bearer {token}"}
    asked = requests.post(f"{base}/downloads", json={"sources": [f"s3://{BUCKET}/a/"]}, headers=headers, timeout=120)
    assert asked.status_code == 201, asked.text
    path = asked.json()["url"].partition("/d/")[2]
    got = requests.get(f"{base}/d/{path}", timeout=120)
    assert got.status_code == 200
    assert b"one" * 1000 in got.content


def say(what: str) -> None:
    """With the seconds since the start."""
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.0f} s  {what}\n")
    sys.stdout.flush()


BEGAN = time.monotonic()

if __name__ == "__main__":
    main()
