"""Ends of jobs and of planning, told to real receivers by a whole server."""

import asyncio
import json
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

import bucketzip.web as web_server
from bucketzip.notify import patience, sender
from bucketzip.notify.signature import callback_secret
from bucketzip.state.instance_key import load_instance_key
from tests.faults.lying_s3 import LyingS3
from tests.jobs.archiving import fill
from tests.notify.documented import verifier
from tests.notify.receiver import LOOPBACK, Got, mail_server, receiving
from tests.web.serving import Server, serving, stub_environment

OPENAPI = Path(web_server.__file__).with_name("openapi.yaml")
PUBLIC = "https://zip.example.com"
ADDRESS = "somebody@example.org"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch, _no_back_off: None) -> None:
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.02)


def settings(**more: Any) -> dict[str, Any]:
    return {"callback_networks": f"{LOOPBACK}/32", "public_url": PUBLIC, "s3_tries": 2, "scratch": "off"} | more


def mail_settings(port: int) -> dict[str, Any]:
    return settings(smtp_host=LOOPBACK, smtp_port=port, smtp_tls="none", mail_from="zip@example.com")


@pytest.fixture
def stored(stub: LyingS3) -> LyingS3:
    fill(stub, {"a.txt": 100, "b.txt": 2000})
    return stub


class Asking:
    """A server, asked for archives whose ends are told."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, dict[str, Any]]:
        async with self.server.client.request(method, self.server.base + path, **more) as answer:
            return answer.status, await answer.json()

    async def archive(self, **fields: Any) -> str:
        """The id of a new job."""
        wanted = {"sources": ["s3://stub/in/"], "destination": "s3://stub/out/a.zip", "if_exists": "replace"}
        status, job = await self.call("POST", "/archives", json=wanted | fields)
        assert status == 202, job
        return str(job["id"])

    async def told(self, job_id: str, *states: str) -> dict[str, Any]:
        """The job once all its deliveries are in these states."""
        async with asyncio.timeout(120):
            while True:
                _, job = await self.call("GET", f"/archives/{job_id}")
                if (found := [each["state"] for each in job["deliveries"]]) and set(found) <= set(states):
                    return job
                await asyncio.sleep(0.02)

    async def metric(self, name: str, **labels: str) -> float:
        async with self.server.client.get(f"{self.server.base}/metrics") as answer:
            text = await answer.text()
        told = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name}{{{told}}} "))


def body(got: Got) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(got.body)
    return told


def assert_described(schema: str, told: dict[str, Any]) -> None:
    """Its fields are those of openapi.yaml."""
    described = yaml.safe_load(OPENAPI.read_text())["components"]["schemas"][schema]
    assert set(told) == set(described["required"]) == set(described["properties"])


def content_of(directory: Path) -> bytes:
    return b"".join(each.read_bytes() for each in directory.rglob("*") if each.is_file())


async def test_a_job_is_told_to_a_receiver_that_fails_at_first(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        receiving() as receiver,
        serving(stub_environment(stored.endpoint_url), state, monkeypatch, **settings()) as server,
    ):
        receiver.answers += [web.Response(status=503), web.Response(status=429, headers={"Retry-After": "0"})]
        asking = Asking(server)
        job_id = await asking.archive(callback_url=receiver.url)
        callbacks = [await receiver.next() for _ in range(3)]
        job = await asking.told(job_id, "delivered")
        assert receiver.got.empty()
        (delivery,) = job.pop("deliveries")
        assert [each["outcome"] for each in delivery["attempts"]] == ["HTTP 503", "HTTP 429", "HTTP 204"]
        assert (delivery["kind"], delivery["to"], delivery["event"]) == ("callback", LOOPBACK, "archive.succeeded")
        assert delivery["next_at"] is None
        assert_described("Delivery", delivery)
        for callback in callbacks:
            told = body(callback)
            assert told["id"] == callback.headers["Bucketzip-Delivery"] == delivery["id"]
            assert told["type"] == callback.headers["Bucketzip-Event"] == "archive.succeeded"
            assert told["time"] == job["finished_at"]
            assert told["data"] == job | {"deliveries": []}
            assert_described("Event", told)
            assert_described("Archive", told["data"])
            assert told["link"]["url"].startswith(f"{PUBLIC}/r/")
            key = await asyncio.to_thread(load_instance_key, state)
            assert verifier(callback_secret(key, "trusted"))(callback.headers["Bucketzip-Signature"], callback.body)
        counted = "bucketzip_deliveries_total"
        assert await asking.metric(counted, kind="callback", outcome="retried") == 2
        assert await asking.metric(counted, kind="callback", outcome="delivered") == 1
        assert await asking.metric("bucketzip_deliveries_waiting", kind="callback") == 0


async def test_a_receiver_that_wants_no_more_is_left_alone(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        receiving() as receiver,
        serving(stub_environment(stored.endpoint_url), state, monkeypatch, **settings(public_url="")) as server,
    ):
        receiver.answers.append(web.Response(status=410))
        asking = Asking(server)
        job = await asking.told(await asking.archive(callback_url=receiver.url), "failed")
        assert job["state"] == "succeeded"  # of the archive itself that says nothing
        assert [each["outcome"] for each in job["deliveries"][0]["attempts"]] == ["HTTP 410"]
        assert body(await receiver.next())["link"] is None  # nobody knows by which address users come
        assert receiver.got.empty()


async def test_links_are_told_of_when_they_are_planned_or_cannot_be(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        receiving() as receiver,
        serving(stub_environment(stored.endpoint_url), state, monkeypatch, **settings()) as server,
    ):
        fields = {"callback_url": receiver.url, "filename": "größe.zip"}
        status, made = await server.ask("s3://stub/in/", **fields)
        assert status == 201
        told = body(await receiver.next())
        assert told["type"] == "download.ready"
        assert_described("Event", told)
        assert_described("EventDownload", told["data"])
        assert told["link"] == {"url": made["url"], "expires_at": made["expires_at"]}
        assert {name: told["data"][name] for name in ("filename", "bytes", "entries", "expires_at", "state")} == {
            name: made[name] for name in ("filename", "bytes", "entries", "expires_at", "state")
        }
        status, refused = await server.ask("s3://stub/nothing/", **fields)
        told = body(await receiver.next())
        assert (told["type"], told["link"]) == ("download.failed", None)
        assert told["data"]["error"] == {"code": refused["error"], "detail": refused["detail"]}


async def test_what_failed_or_was_cancelled_is_told_too(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stub_environment(stored.endpoint_url)
    async with receiving() as receiver:
        async with serving(environment, state, monkeypatch, **settings(run_jobs=False)) as server:
            asking = Asking(server)
            job_id = await asking.archive(callback_url=receiver.url)
            await asking.call("DELETE", f"/archives/{job_id}")
            assert [each["state"] for each in (await asking.call("GET", f"/archives/{job_id}"))[1]["deliveries"]] == [
                "waiting"
            ]
            assert await asking.metric("bucketzip_deliveries_waiting", kind="callback") == 1
        async with serving(environment, state, monkeypatch, **settings()) as server:  # the one that runs jobs tells
            assert body(await receiver.next())["type"] == "archive.cancelled"
            job_id = await Asking(server).archive(callback_url=receiver.url, sources=["s3://stub/nothing/"])
            told = body(await receiver.next())
            assert (told["type"], told["data"]["id"], told["link"]) == ("archive.failed", job_id, None)
            assert told["data"]["error"]["code"] == "nothing_to_zip"


async def test_mail_comes_from_a_server_that_fails_at_first(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stub_environment(stored.endpoint_url)
    async with mail_server() as mailbox:
        mailbox.replies.append("451 come again")
        async with serving(environment, state, monkeypatch, **mail_settings(mailbox.port)) as server:
            asking = Asking(server)
            job_id = await asking.archive(email=ADDRESS)
            mail: EmailMessage = await mailbox.next()
            job = await asking.told(job_id, "delivered")
            assert [each["outcome"] for each in job["deliveries"][0]["attempts"]] == ["451 come again", "taken"]
            assert (mail["To"], mail["Subject"]) == (ADDRESS, "a.zip is ready")
            assert f"{PUBLIC}/r/" in mail.get_content()
            assert f"{job['result']['bytes']:,} bytes, 2 entries" in mail.get_content()
            job_id = await asking.archive(email=ADDRESS, sources=["s3://stub/nothing/"])
            mail = await mailbox.next()
            assert mail["Subject"] == "a.zip could not be made"
            assert "s3://stub/nothing/" in mail.get_content()


async def test_what_cannot_be_told_is_refused_before_anything_is_done(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stub_environment(stored.endpoint_url)
    async with serving(environment, state, monkeypatch, smtp_host="mx.test") as server:
        asking = Asking(server)
        for path in ("/archives", "/downloads"):
            wanted = {"sources": ["s3://stub/in/"]} | ({"destination": "s3://stub/a.zip"} if "arch" in path else {})
            for field, value, said in (
                ("email", ADDRESS, "its settings BUCKETZIP_MAIL_FROM, BUCKETZIP_PUBLIC_URL are unset"),
                ("callback_url", "http://169.254.169.254/latest/", "no callback is sent to 169.254.169.254"),
                ("callback_url", "http://127.0.0.1/", "BUCKETZIP_CALLBACK_NETWORKS"),
            ):
                status, refused = await asking.call("POST", path, json=wanted | {field: value})
                assert (status, refused["error"]) == (400, "invalid_request")
                assert said in refused["detail"]
        assert (await asking.call("GET", "/archives"))[1]["archives"] == []
    assert stored.requests == []


async def test_a_server_that_stops_lets_a_callback_come_to_its_end(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = stub_environment(stored.endpoint_url)
    async with receiving() as receiver:
        receiver.answers.append(thought_about := asyncio.Event())
        async with serving(environment, state, monkeypatch, **settings()) as server:
            job_id = await Asking(server).archive(callback_url=receiver.url)
            await receiver.next()
            asyncio.get_running_loop().call_later(0.1, thought_about.set)
        async with serving(environment, state, monkeypatch, **settings()) as server:
            job = await Asking(server).told(job_id, "delivered")
            assert len(job["deliveries"][0]["attempts"]) == 1
        assert receiver.got.empty()


async def test_a_callback_that_was_cut_off_is_made_again_by_the_next_server(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "GRACE_SECONDS", 0.1)
    environment = stub_environment(stored.endpoint_url)
    async with receiving() as receiver:
        receiver.answers.append(asyncio.Event())  # no answer will come
        async with serving(environment, state, monkeypatch, **settings()) as server:
            job_id = await Asking(server).archive(callback_url=receiver.url)
            first = await receiver.next()
        async with serving(environment, state, monkeypatch, **settings()) as server:
            second = await receiver.next()
            job = await Asking(server).told(job_id, "delivered")
        assert second.headers["Bucketzip-Delivery"] == first.headers["Bucketzip-Delivery"]
        assert second.body == first.body
        assert len(job["deliveries"][0]["attempts"]) == 1


async def test_only_a_few_are_told_at_once(stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "AT_ONCE", 2)
    environment = stub_environment(stored.endpoint_url)
    answers = [asyncio.Event() for _ in range(6)]
    async with receiving() as receiver:
        receiver.answers += answers
        async with serving(environment, state, monkeypatch, **settings(run_jobs=False)) as server:
            for _ in answers:
                await server.link("s3://stub/in/", callback_url=receiver.url)
        async with serving(environment, state, monkeypatch, **settings()):
            await receiver.next()
            for answer in answers[:-1]:  # each that is answered makes room for one more
                await receiver.next()
                answer.set()
            answers[-1].set()
        assert receiver.most_at_once == 2


async def test_no_secret_is_kept_or_logged(
    stored: LyingS3, state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "bucketzip")
    environment = stub_environment(stored.endpoint_url)
    async with mail_server() as mailbox, receiving() as receiver:
        told = mail_settings(mailbox.port) | {"smtp_password": "very-secret-pa55"}
        async with serving(environment, state, monkeypatch, **told) as server:
            asking = Asking(server)
            job_id = await asking.archive(callback_url=receiver.url, email=ADDRESS)
            capability = body(await receiver.next())["link"]["url"].rpartition("/")[2]
            assert capability in (await mailbox.next()).get_content()
            answered = json.dumps(await asking.told(job_id, "delivered"))
        secrets = [capability, "very-secret-pa55"]
        secrets.append(callback_secret(await asyncio.to_thread(load_instance_key, state), "trusted"))
        kept = await asyncio.to_thread(content_of, state)
        logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
        for secret in secrets:
            assert secret.encode() not in kept
            assert secret not in logged
        assert "very-secret-pa55" not in answered
        assert "hidden" not in logged  # what a callback's URL holds
        assert "hidden" not in answered
