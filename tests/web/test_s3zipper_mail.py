"""The mail that ends a chain of S3Zipper's tasks: a task of its own, with a state and a result."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bucketzip.notify import patience, sender
from bucketzip.web import keys
from bucketzip.web.handlers import s3zipper
from bucketzip.web.s3zipper import mails
from tests.faults.lying_s3 import LyingS3
from tests.notify.receiver import LOOPBACK, Mailbox, mail_server
from tests.web.serving import Server, serving, stub_environment
from tests.web.zipping import call, ended, started, state_of

ADDRESS = "somebody@example.org"
PUBLIC = "https://zip.example.com"
CONFIRMATION = f"A mail with the link was sent to {ADDRESS}."
STARTS = ("/v1/zipstart", "/v1/streamzip")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3zipper, "SIZE_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(sender, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(mails, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.02)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as running:
        yield running


Serve = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def serve(stub: LyingS3, mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Begin a server that is set up for mail."""
    stub.objects.put("in/a", b"a")

    def begin(**more: Any) -> AbstractAsyncContextManager[Server]:
        mail = {"smtp_host": LOOPBACK, "smtp_port": mailbox.port, "smtp_tls": "none", "mail_from": "zip@example.com"}
        settings = {"public_url": PUBLIC, "s3_tries": 2, "scratch": "off", **mail, **more}
        return serving(stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch, **settings)

    return begin


def mail_of(chain: dict[str, Any]) -> dict[str, Any]:
    """Its last task alone."""
    return dict(chain["chainTaskUUID"][-1])


@pytest.mark.parametrize("path", STARTS)
async def test_the_last_task_confirms_the_mail_and_the_state_has_the_link(
    serve: Serve, mailbox: Mailbox, path: str
) -> None:
    async with serve() as server:
        chain = await started(server, path, filePaths=["stub/in"], zipTo="stub/a.zip", resultsEmail=ADDRESS)
        assert [next(iter(task)) for task in chain["chainTaskUUID"]] == [
            "streams3" if path == "/v1/zipstart" else "idurl",
            "email",
        ]
        assert await call(server, "/v1/zipresult", chain) == (200, {"results": [CONFIRMATION]})
        state = await ended(server, mail_of(chain))
        assert (state["TaskUUID"], state["TaskName"], state["State"]) == (mail_of(chain)["email"], "email", "SUCCESS")
        assert state["Results"] == [{"Type": "string", "Value": CONFIRMATION}]
        link = (await ended(server, chain))["Results"][0]["Value"]
        assert link.startswith(f"{PUBLIC}/{'r' if path == '/v1/zipstart' else 'd'}/")
        assert await call(server, "/v1/zipresult", chain["chainTaskUUID"][0]) == (200, {"results": [link]})
    mail = await mailbox.next()
    assert mail["To"] == ADDRESS
    assert link in mail.get_content()
    assert mailbox.mails.empty()


async def test_a_mail_is_pending_until_the_archive_is_made(serve: Serve, mailbox: Mailbox) -> None:
    async with serve(run_jobs=False) as server:
        chain = await started(server, "/v1/zipstart", filePaths=["stub/in"], resultsEmail=ADDRESS)
        state = await state_of(server, mail_of(chain))
        assert (state["State"], state["TaskName"], state["Results"]) == ("PENDING", "email", None)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(call(server, "/v1/zipresult", chain))
            server.app[keys.ARCHIVE_JOBS].close()
        status, error = waiting.result()
        assert (status, error["error"]) == (503, "still_running")
    assert mailbox.mails.empty()


async def test_a_mail_that_is_tried_again_is_waited_for(
    serve: Serve, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox.replies += ["451 come again"]
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 3600.0)
    async with serve() as server:
        chain = await started(server, "/v1/zipstart", filePaths=["stub/in"], resultsEmail=ADDRESS)
        async with asyncio.timeout(120):
            while (state := await state_of(server, mail_of(chain)))["State"] != "RETRY":
                assert state["State"] == "PENDING"
                await asyncio.sleep(0.02)
        assert (state["Results"], state["Error"]) == (None, "")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(call(server, "/v1/zipresult", chain))
            server.app[keys.ARCHIVE_JOBS].close()
        status, error = waiting.result()
        assert (status, error["error"]) == (503, "still_running")


async def test_a_mail_that_nobody_takes_fails_with_the_reason(serve: Serve, mailbox: Mailbox) -> None:
    mailbox.replies += ["451 come again", "554 you are spam"]
    async with serve() as server:
        chain = await started(server, "/v1/zipstart", filePaths=["stub/in"], resultsEmail=ADDRESS)
        state = await ended(server, mail_of(chain))
        said = f"the mail to {ADDRESS} was not delivered (554 you are spam); the link is in zipstate"
        assert (state["State"], state["Error"]) == ("FAILURE", f"mail_not_delivered: {said}")
        status, error = await call(server, "/v1/zipresult", chain)
        assert (status, error["error"], error["detail"]) == (502, "mail_not_delivered", said)
        assert (await ended(server, chain))["State"] == "SUCCESS", "the archive is there"


@pytest.mark.parametrize("path", STARTS)
async def test_an_archive_that_fails_ends_the_chain(serve: Serve, mailbox: Mailbox, path: str) -> None:
    async with serve() as server:
        chain = await started(server, path, filePaths=["stub/not/there"], resultsEmail=ADDRESS)
        status, error = await call(server, "/v1/zipresult", chain)
        assert (status, error["error"]) == (404, "no_such_object")
        state = await ended(server, mail_of(chain))
        assert (state["State"], state["Error"]) == ("FAILURE", (await ended(server, chain))["Error"])
        assert (await mailbox.next())["Subject"].endswith(" could not be made"), "and it is mailed nevertheless"


async def test_a_mail_that_nobody_asked_for_is_no_task(serve: Serve) -> None:
    async with serve(run_jobs=False) as server:
        chain = await started(server, "/v1/zipstart", filePaths=["stub/in"])
        email = chain["chainTaskUUID"][0]["streams3"].replace("zipper_s3_", "email_")
        for path in ("/v1/zipstate", "/v1/zipresult"):
            status, error = await call(server, path, {"email": email})
            assert (status, error["error"]) == (404, "no_such_task")


@pytest.mark.parametrize("path", STARTS)
async def test_where_no_mail_is_sent_none_is_promised(stub_server: Server, path: str) -> None:
    status, error = await call(stub_server, path, {"filePaths": ["stub/in"], "resultsEmail": ADDRESS})
    assert (status, error["error"]) == (400, "invalid_request")
    assert error["detail"].startswith("resultsEmail: this server sends no mail")
    for setting in ("BUCKETZIP_SMTP_HOST", "BUCKETZIP_MAIL_FROM", "BUCKETZIP_PUBLIC_URL"):
        assert setting in error["detail"]
