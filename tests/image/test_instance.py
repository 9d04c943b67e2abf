"""An instance as its owner has it: it serves by its role's credentials, and comes back from whatever happens to it."""

import io
import json
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.image.container import CommandFailed
from tests.image.instance import BUCKET, Instance
from tests.image.network import MACHINE

MIB = 1 << 20
UNITS = ("bucketzip@1.service", "bucketzip-worker.service")
CONTENT = {"a/one.txt": b"one" * 1000, "a/two.bin": bytes(range(256)) * (24 * 4096), "a/empty": b""}


@pytest.fixture(scope="module")
def first(instances: tuple[Instance, Instance]) -> Instance:
    for key, data in CONTENT.items():
        instances[0].put(key, data)
    return instances[0]


def until(what: Callable[[], Any], within_seconds: float = 300) -> Any:
    """What it gives once that is something; other processes tell nobody."""
    deadline = time.monotonic() + within_seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def link(instance: Instance) -> str:
    answer = instance.ask("POST", "/downloads", json={"sources": [f"s3://{BUCKET}/a/"]})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


def archive(instance: Instance, key: str) -> str:
    """The address of a job."""
    answer = instance.ask(
        "POST", "/archives", json={"sources": [f"s3://{BUCKET}/a/"], "destination": f"s3://{BUCKET}/{key}"}
    )
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def state(instance: Instance, job: str) -> str:
    return str(instance.ask("GET", job).json()["state"])


def holds_the_content(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {f"a/{name}".replace("a/a/", "a/"): opened.read(name) for name in opened.namelist()} == CONTENT


def test_everything_runs(first: Instance) -> None:
    cores = int(first.machine.run("nproc"))
    processes = [f"bucketzip@{number}.service" for number in range(1, cores + 1)]
    for unit in (
        *processes,
        *("bucketzip-worker.service", "bucketzip.socket", "bucketzip.target", "bucketzip-firstboot.service"),
        *("nftables.service", "prometheus-node-exporter.service", "unattended-upgrades.service", "ssh.service"),
    ):
        assert first.machine.show(unit, "ActiveState") == "active", unit
    assert first.machine.run("systemctl --failed --no-legend --plain") == ""
    sizes = first.machine.run("cat /run/bucketzip/sizes.env")
    assert f"BUCKETZIP_PROCESSES={cores + 1}\n" in f"{sizes}\n"


def test_one_that_takes_all_memory_is_ended_and_slows_nobody_down(first: Instance) -> None:
    """By its settings: that they work, and what MemoryHigh did, takes a kernel of its own (vm.py)."""
    physical = int(first.machine.run("awk '/^MemTotal/ { print $2 * 1024 }' /proc/meminfo"))
    assert 0.85 < int(first.machine.show("bucketzip.slice", "MemoryMax")) / physical < 0.95
    assert first.machine.show("bucketzip.slice", "MemoryHigh") == "infinity"
    for unit in UNITS:
        assert first.machine.show(unit, "Slice") == "bucketzip.slice"
        assert int(first.machine.show(unit, "OOMScoreAdjust")) > 0


def test_credentials_are_the_roles(first: Instance) -> None:
    assert first.ask("GET", "/readyz").status_code == 200
    assert first.imds.requests[first.imds.credentials_path] > 0
    methods = {
        line["MESSAGE"]
        for unit in UNITS
        for line in first.machine.journal(unit)
        if "credentials are there" in str(line)
    }
    assert methods
    assert all('"method": "iam-role"' in message for message in methods)


def test_others_do_not_get_them(first: Instance) -> None:
    """A user of the machine that is not of its services does not reach the metadata service."""
    ask = "curl --silent --max-time 30 --output /dev/null --write-out '%{http_code}' http://169.254.169.254/latest/"
    assert first.machine.run(f"setpriv --reuid bucketzip --regid bucketzip --clear-groups {ask}") == "401"
    with pytest.raises(CommandFailed, match="ended with 7"):
        first.machine.run(f"setpriv --reuid nobody --regid nogroup --clear-groups {ask}")


def test_a_zip_is_downloaded(first: Instance) -> None:
    answer = first.ask("GET", link(first))
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert holds_the_content(answer.content)


def test_an_archive_is_written(first: Instance) -> None:
    job = archive(first, "out/archive.zip")
    assert until(lambda: (told := state(first, job)) in {"succeeded", "failed"} and told) == "succeeded"
    assert holds_the_content(first.get("out/archive.zip"))


def test_metrics_are_those_of_all_processes(first: Instance) -> None:
    text = first.ask("GET", "/metrics").text
    for process in ("work", *(f"serve-{number}" for number in range(1, int(first.machine.run("nproc")) + 1))):
        assert f'process_resident_memory_bytes{{process="{process}"}}' in text
    assert "node_memory_MemTotal_bytes" in first.ask("GET", f"http://{MACHINE}:9100/metrics").text


def test_logs_are_json_and_without_secrets(first: Instance) -> None:
    messages = [str(line["MESSAGE"]) for line in first.machine.journal("bucketzip@1.service")]
    assert any(message.startswith('{"time": ') for message in messages)
    logged = "\n".join(str(line.get("MESSAGE")) for line in first.machine.journal())
    assert first.s3.secret_key not in logged
    initial = json.loads((first.tree / "var/lib/bucketzip/initial-user.json").read_text())
    assert initial["user_secret"] not in logged
    assert initial["user_secret"] in first.machine.run("bucketzip user show-initial")


def test_killed_processes_come_back_and_refuse_nobody(first: Instance) -> None:
    """A request that comes while none of them runs waits for the next."""
    url = link(first)
    job = archive(first, "out/killed.zip")
    first.machine.run("systemctl kill --signal=KILL 'bucketzip@*.service' bucketzip-worker.service")
    assert holds_the_content(first.ask("GET", url).content)
    assert until(lambda: state(first, job) == "succeeded")
    assert holds_the_content(first.get("out/killed.zip"))
    assert int(first.machine.show("bucketzip@1.service", "NRestarts")) >= 1


def test_a_process_that_is_stuck_is_started_again(first: Instance) -> None:
    before = first.machine.show("bucketzip@1.service", "MainPID")
    first.machine.run(f"kill -STOP {before}")

    def again() -> bool:
        now = first.machine.show("bucketzip@1.service", "MainPID")
        return now not in {before, "0"} and first.machine.show("bucketzip@1.service", "ActiveState") == "active"

    until(again)
    said = [str(line["MESSAGE"]) for line in first.machine.journal("bucketzip@1.service")]
    assert any("Watchdog timeout" in message for message in said)
    assert any("Fatal Python error: Aborted" in message for message in said), "where it stood is in the journal"
    assert first.ask("GET", "/readyz").status_code == 200


def test_stopping_lets_downloads_finish(first: Instance) -> None:
    url = link(first)
    download = ["curl", "--silent", "--fail", "--limit-rate", "8M", "--output", "-", url]
    with first.around.entered(), subprocess.Popen(download, stdout=subprocess.PIPE) as slow:
        assert slow.stdout is not None
        begun = slow.stdout.read(1)
        stopping = threading.Thread(target=first.machine.run, args=("systemctl stop bucketzip.target",))
        stopping.start()
        until(lambda: "deactivating" in first.machine.run("systemctl is-active 'bucketzip@*.service'", check=False))
        with pytest.raises(requests.ConnectionError):  # it waits for a process, and none comes
            first.ask("GET", "/healthz")
        rest, _ = slow.communicate()
        stopping.join()
    assert slow.returncode == 0
    assert holds_the_content(begun + rest)
    assert first.machine.show("bucketzip@1.service", "Result") == "success"
    first.machine.run("systemctl start bucketzip.target")
    assert first.ask("GET", "/readyz").status_code == 200


def test_it_serves_on_another_port(instances: tuple[Instance, Instance]) -> None:
    """As cloudformation/bucketzip.yaml has it set."""
    second = instances[1]
    directory = second.tree / "etc/systemd/system/bucketzip.socket.d"
    directory.mkdir()
    (directory / "port.conf").write_text("[Socket]\nListenStream=\nListenStream=0.0.0.0:8080\n")
    second.machine.run("systemctl daemon-reload && systemctl restart bucketzip.target")
    assert second.ask("GET", f"http://{MACHINE}:8080/readyz").status_code == 200
    with pytest.raises(requests.ConnectionError):
        second.ask("GET", "/readyz")


def test_a_reboot_keeps_secrets_links_and_jobs(first: Instance) -> None:
    url, job, secrets = link(first), archive(first, "out/reboot.zip"), identity(first)
    first.power_off()
    first.boot()
    assert identity(first) == secrets
    assert holds_the_content(first.ask("GET", url).content)
    assert until(lambda: state(first, job) == "succeeded")


def test_instances_have_secrets_of_their_own(instances: tuple[Instance, Instance]) -> None:
    one, two = map(identity, instances)
    assert len(one) == len(two) == 6
    assert not set(one) & set(two)


def identity(instance: Instance) -> list[bytes]:
    """What no two machines may have alike."""
    names = ("etc/machine-id", "var/lib/bucketzip/instance.key", "var/lib/bucketzip/initial-user.json")
    keys = sorted((instance.tree / "etc/ssh").glob("ssh_host_*_key"))
    return [(instance.tree / name).read_bytes() for name in names] + [key.read_bytes() for key in keys]


def test_nobody_comes_in_without_a_key(first: Instance) -> None:
    settings = first.machine.run("sshd -T").splitlines()
    for setting in ("passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin no", "port 22"):
        assert setting in settings
    assert first.machine.run("passwd --status root").split()[1] == "L"
    accepted = first.machine.run("nft list chain inet filter input")
    assert "22" in accepted
    assert "policy drop" in accepted
