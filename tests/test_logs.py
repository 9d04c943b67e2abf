"""One line an event, whatever is in it."""

import asyncio
import json
import logging

import pytest

from bucketzip.logs import JsonFormatter, TextFormatter, about

EVIL = "s3://b/line\nbreak\x1b[2J\x9b\u2028end"


@pytest.fixture
def record() -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": "broken off: %s", "args": (EVIL,), "levelname": "ERROR", "created": 0.5})
    made.key = EVIL
    return made


def test_text_is_one_line_that_no_terminal_obeys(record: logging.LogRecord) -> None:
    escaped = r"s3://b/line\nbreak\x1b[2J\x9b\u2028end"
    assert TextFormatter().format(record) == (
        f"1970-01-01T00:00:00.500+00:00 error broken off: {escaped} key={escaped}"
    )


def test_json_is_one_line_that_keeps_what_it_was(record: logging.LogRecord) -> None:
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.500+00:00",
        "level": "error",
        "event": f"broken off: {EVIL}",
        "key": EVIL,
    }


def test_a_traceback_follows_its_line() -> None:
    record = logging.makeLogRecord({"msg": "unexpected", "levelname": "ERROR"})
    try:
        int("why")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    first, *traceback = TextFormatter().format(record).splitlines()
    assert first.endswith("error unexpected")
    assert traceback[-1].startswith("    ValueError: ")


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_cannot_pass_for_another_line(formatter: logging.Formatter) -> None:
    record = logging.makeLogRecord({"msg": "unexpected", "levelname": "ERROR"})
    try:
        fail(f"{EVIL}\n2026-01-01T00:00:00.000+00:00 info request who=admin")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    first, *rest = formatter.format(record).split("\n")
    assert all(line.startswith("    ") for line in rest)
    assert not any(char in first + "".join(rest) for char in "\x1b\x9b")


async def test_lines_tell_what_the_task_and_those_that_it_starts_are_about() -> None:
    def line(**extra: object) -> dict[str, object]:
        told = json.loads(JsonFormatter().format(logging.makeLogRecord({"msg": "here", **extra})))
        return {name: value for name, value in told.items() if name not in {"time", "level", "event"}}

    async def started() -> dict[str, object]:
        await asyncio.sleep(0)
        return line()

    with about(request_id="r"):
        inner = asyncio.create_task(started())
        with about(job="j"):
            assert line(request_id="other", bytes=1) == {"request_id": "other", "job": "j", "bytes": 1}
        assert line() == {"request_id": "r"}
    assert await inner == {"request_id": "r"}
    assert line() == {}
