"""The head of an answer, whatever comes: a Head, a wait for more, or Malformed."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bucketzip.s3.head import MAX_HEAD_BYTES, Head, Malformed, check_range, parse
from bucketzip.s3.signing import Range

GOOD = (
    b"HTTP/1.1 206 Partial Content\r\n"
    b"Content-Length: 10\r\n"
    b"Content-Range: bytes 5-14/100\r\n"
    b'ETag: "abc"\r\n'
    b"Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n\r\n"
)
WANTED = Range("key", "", '"abc"', 5, 15)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Bytes that get far into the parser, and what may stand between them.
PIECES = [
    b"HTTP/1.1 ", b"HTTP/1.0 ", b"206", b"100", b"403", b"999", b" OK", b"\r\n", b"\r", b"\n", b": ", b":", b" ", b"\t",
    b"\0", b"\xff", b"Content-Length", b"content-length: 1", b"Transfer-Encoding: chunked", b"Connection: close",
    b"ETag", b"\r\n\r\n", b"9" * 20, CONTINUE,
]  # fmt: skip
ANYTHING = st.binary(max_size=200) | st.lists(st.sampled_from(PIECES) | st.binary(max_size=5)).map(b"".join)


def outcome(data: bytes) -> Head | str | None:
    try:
        return parse(data)
    except Malformed:
        return "malformed"


@settings(max_examples=400, deadline=None)
@given(ANYTHING | ANYTHING.map(lambda data: b"HTTP/1.1 206 OK\r\n" + data + b"\r\n\r\n"))
@example(GOOD)
@example(CONTINUE + GOOD + b"body")
def test_any_bytes_byte_by_byte_or_at_once(data: bytes) -> None:
    at_once = outcome(data)
    one_by_one = (outcome(data[:length]) for length in range(len(data) + 1))
    assert next((found for found in one_by_one if found is not None), None) == at_once
    if isinstance(at_once, Head):
        assert data[: at_once.body_at].endswith(b"\r\n\r\n")
        try:
            check_range(at_once, WANTED, 100)
        except Malformed:
            return
        assert (at_once.length, at_once.fields[b"etag"].strip(b'"')) == (10, b"abc")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_never_taken_for_another_range(at: int, byte: int) -> None:
    data = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    try:
        head = parse(data)
        if head is None or head.status != 206:
            return
        check_range(head, WANTED, 100)
    except Malformed:
        return
    assert (head.length, head.fields[b"content-range"], head.fields[b"etag"].strip(b'"')) == (
        10,
        b"bytes 5-14/100",
        b"abc",
    )


def test_the_facts() -> None:
    head = parse(GOOD + b"body")
    assert head is not None
    assert (head.status, head.body_at, head.length, head.keep) == (206, len(GOOD), 10, True)
    assert head.fields[b"date"] == b"Fri, 02 Jan 2026 03:04:05 GMT"
    check_range(head, WANTED, 100)


@pytest.mark.parametrize(
    "data",
    [
        CONTINUE + GOOD,
        CONTINUE * 2 + GOOD,
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + GOOD,
        GOOD.replace(b"206 Partial Content", b"206 "),
        GOOD.replace(b"206 Partial Content", b"206"),
        GOOD.replace(b"ETag", b"etag").replace(b"Content-Range", b"CONTENT-RANGE"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length:10 \t"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: 10\r\ncontent-length: 10"),
        GOOD.replace(b'"abc"', b"abc"),
        GOOD.replace(b"Date:", b"Empty:\r\nDate:"),
        GOOD.replace(b"Date:", b"X-Amz-Meta-A: \xc3\xbc\xff\r\nDate:"),
        GOOD.replace(b"Date:", b"X-Amz-Meta-A: 1\r\nX-Amz-Meta-A: 2\r\nDate:"),
        GOOD.replace(b"Date:", b"Content-Encoding: gzip\r\nDate:"),
    ],
)
def test_odd_but_right(data: bytes) -> None:
    head = parse(data)
    assert head is not None
    assert head.body_at == len(data)
    check_range(head, WANTED, 100)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.0 206 Partial Content\r\n" + GOOD.partition(b"\r\n")[2],
        b"HTTP/2 206\r\n\r\n",
        b"HTTP/1.1 2060 x\r\n\r\n",
        b"HTTP/1.1 606 x\r\n\r\n",
        b"HTTP/1.1  206 x\r\n\r\n",
        b" HTTP/1.1 206 x\r\n\r\n",
        b"\r\n" + GOOD,
        b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
        GOOD.replace(b"Content-Length: 10", b"Content-Length: 10\r\nContent-Length: 11"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: 10\r\nContent-Length: 11\r\nContent-Length: 10"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: 10, 10"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: +10"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: \xd9\xa1\xd9\xa0"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: "),
        GOOD.replace(b"Content-Length: 10", b"Content-Length : 10"),
        GOOD.replace(b"Content-Length: 10", b"Content-Length: " + b"9" * 30),
        GOOD.replace(b'ETag: "abc"', b'ETag: "abc"\r\nETag: "abd"'),
        GOOD.replace(b"Date:", b" folded: into the line before\r\nDate:"),
        GOOD.replace(b"Date:", b"\tContent-Length: 10\r\nDate:"),
        GOOD.replace(b"Date:", b"two words: x\r\nDate:"),
        GOOD.replace(b"Date:", b"\xff: x\r\nDate:"),
        GOOD.replace(b"Date:", b"X: a\0b\r\nDate:"),
        GOOD.replace(b"Date:", b"X: a\0b: c\r\nDate:"),
        GOOD.replace(b"Date:", b"X: a\rb: c\r\nDate:"),
        GOOD.replace(b"Date:", b"X: a\nY: b\r\nDate:"),
        GOOD.replace(b"Date:", b": x\r\nDate:"),
        GOOD.replace(b"Date:", b"no colon\r\nDate:"),
        GOOD.replace(b"ETag", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nETag"),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)


@pytest.mark.parametrize(
    "change",
    [
        (b"Content-Length: 10\r\n", b""),
        (b"Content-Length: 10", b"Content-Length: 9"),
        (b"Content-Length: 10", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 10", b"Content-Length: 10\r\nTransfer-Encoding: chunked"),
        (b"5-14/100", b"5-13/100"),
        (b"5-14/100", b"4-14/100"),
        (b"5-14/100", b"5-14/101"),
        (b"5-14/100", b"5-14/*"),
        (b"Content-Range: bytes 5-14/100\r\n", b""),
        (b'"abc"', b'"abd"'),
        (b'"abc"', b'W/"abc"'),
        (b'ETag: "abc"\r\n', b""),
    ],
)
def test_not_what_was_asked_for(change: tuple[bytes, bytes]) -> None:
    assert change[0] in GOOD
    head = parse(GOOD.replace(*change))
    assert head is not None
    with pytest.raises(Malformed):
        check_range(head, WANTED, 100)


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace(b"Date:", b"Connection: close\r\nDate:"),
        GOOD.replace(b"Date:", b"connection: Close\r\nDate:"),
        GOOD.replace(b"Date:", b"Connection: foo, close\r\nDate:"),
        GOOD.replace(b"Content-Length: 10\r\n", b""),
        GOOD.replace(b"Date:", b"Transfer-Encoding: chunked\r\nDate:"),
    ],
)
def test_the_last_answer_of_its_connection(data: bytes) -> None:
    head = parse(data)
    assert head is not None
    assert not head.keep


@pytest.mark.parametrize("status", [204, 304])
def test_without_a_body(status: int) -> None:
    head = parse(b"HTTP/1.1 %d x\r\n\r\n" % status)
    assert head is not None
    assert (head.length, head.keep) == (0, True)


@pytest.mark.parametrize("endless", [b"X: " + b"x" * 100_000, b"X: y\r\n" * 20_000, b"\r\n"[:1] * 100_000])
def test_heads_end_somewhere(endless: bytes) -> None:
    """At once, and in pieces: it is not waited for more than fits."""
    data = b"HTTP/1.1 206 OK\r\n" + endless
    for size in (MAX_HEAD_BYTES, len(data)):
        with pytest.raises(Malformed):
            parse(data[:size])
    assert outcome(data[: MAX_HEAD_BYTES - 1]) is None


def test_interim_answers_end_somewhere() -> None:
    data = CONTINUE * 1000
    for size in (MAX_HEAD_BYTES, len(data)):
        with pytest.raises(Malformed):
            parse(data[:size])
    assert outcome(CONTINUE * 600 + GOOD) == parse(CONTINUE * 600 + GOOD)
