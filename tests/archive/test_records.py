"""Records, field by field, as APPNOTE 6.3.10 names them. Zip64 comes by big numbers: nothing here is big."""

import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.archive import records

LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_FIELDS = "signature version flags method time date crc compressed size name_length extra_length"
CENTRAL_FIELDS = (
    "signature made_by version flags method time date crc compressed size name_length extra_length "
    "comment_length disk internal external header_at"
)
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR_64 = struct.Struct("<4sLQL")

MAX_32 = 0xFFFF_FFFF
ZIP64 = 0x0001
TIMESTAMP = 0x5455
SMALL_SIZES = [0, 1, MAX_32 - 1]
BIG_SIZES = [MAX_32, MAX_32 + 1, 5 << 30, 1 << 40]
SOME_TIME = int(datetime(2024, 2, 29, 13, 14, 15, tzinfo=UTC).timestamp())
SOME_DOS_TIME = 13 << 11 | 14 << 5 | 15 // 2
SOME_DOS_DATE = (2024 - 1980) << 9 | 2 << 5 | 29


def local(name: bytes = b"a/b.txt", **changes: Any) -> tuple[dict[str, Any], dict[int, bytes]]:
    """Return the fields and the extra fields of a local header."""
    asked = {"size": 5, "crc": 0x01020304, "mtime": SOME_TIME, "descriptor": False, **changes}
    raw = records.local_header(name, **asked)
    fields = dict(zip(LOCAL_FIELDS.split(), LOCAL.unpack_from(raw), strict=True))
    return fields, extras_of(raw[LOCAL.size :], name, fields)


def central(name: bytes = b"a/b.txt", **changes: Any) -> tuple[dict[str, Any], dict[int, bytes]]:
    """Return the fields and the extra fields of a directory record."""
    asked = {"size": 5, "crc": 0x01020304, "mtime": SOME_TIME, "descriptor": False, "header_at": 77, **changes}
    raw = records.directory_record(name, **asked)
    fields = dict(zip(CENTRAL_FIELDS.split(), CENTRAL.unpack_from(raw), strict=True))
    return fields, extras_of(raw[CENTRAL.size :], name, fields)


def extras_of(rest: bytes, name: bytes, fields: dict[str, Any]) -> dict[int, bytes]:
    assert rest[: len(name)] == name
    assert fields["name_length"] == len(name)
    rest = rest[len(name) :]
    assert fields["extra_length"] == len(rest), "the record ends with its extra fields"
    extras = {}
    while rest:
        kind, length = struct.unpack_from("<HH", rest)
        assert kind not in extras
        assert len(rest) >= 4 + length
        extras[kind], rest = rest[4 : 4 + length], rest[4 + length :]
    return extras


def test_the_fields_of_a_local_header() -> None:
    fields, extras = local()
    assert fields["signature"] == b"PK\x03\x04"
    assert fields["version"] == 20
    assert fields["flags"] == 0
    assert fields["method"] == 0
    assert fields["time"] == SOME_DOS_TIME
    assert fields["date"] == SOME_DOS_DATE
    assert fields["crc"] == 0x01020304
    assert fields["compressed"] == fields["size"] == 5
    assert extras == {TIMESTAMP: struct.pack("<BL", 1, SOME_TIME)}


def test_a_header_with_a_descriptor_has_bit_3_no_crc_and_the_true_sizes() -> None:
    fields, extras = local(descriptor=True, size=9 << 20)
    assert fields["flags"] == 1 << 3
    assert fields["crc"] == 0
    assert fields["compressed"] == fields["size"] == 9 << 20
    assert ZIP64 not in extras


def test_a_header_with_a_descriptor_and_zip64_has_the_true_sizes_there() -> None:
    fields, extras = local(descriptor=True, size=5 << 30)
    assert (fields["flags"], fields["crc"]) == (1 << 3, 0)
    assert extras[ZIP64] == struct.pack("<QQ", 5 << 30, 5 << 30)


@pytest.mark.parametrize("size", SMALL_SIZES)
def test_a_header_without_need_has_no_zip64(size: int) -> None:
    fields, extras = local(size=size)
    assert list(extras) == [TIMESTAMP]
    assert fields["compressed"] == fields["size"] == size
    assert fields["version"] == 20


@pytest.mark.parametrize("size", BIG_SIZES)
def test_a_large_entrys_header_has_both_sizes_in_its_first_extra_field(size: int) -> None:
    """Windows 7's Explorer looks for them there. 0xFFFFFFFF is large too: as a field's value it means "see Zip64"."""
    fields, extras = local(size=size)
    assert list(extras) == [ZIP64, TIMESTAMP]
    assert extras[ZIP64] == struct.pack("<QQ", size, size)
    assert fields["compressed"] == fields["size"] == MAX_32
    assert fields["version"] == 45


@pytest.mark.parametrize("size", [*SMALL_SIZES, *BIG_SIZES])
def test_a_descriptor_is_as_wide_as_its_entry_needs(size: int) -> None:
    form = "<4sLQQ" if size >= MAX_32 else "<4sLLL"
    raw = records.descriptor(size=size, crc=0xDEADBEEF)
    assert len(raw) == (24 if size >= MAX_32 else 16)
    assert struct.unpack(form, raw) == (b"PK\x07\x08", 0xDEADBEEF, size, size)


def test_the_fields_of_a_directory_record() -> None:
    fields, extras = central()
    assert fields["signature"] == b"PK\x01\x02"
    assert fields["made_by"] == 3 << 8 | 20, "3 is Unix: so the attributes below are read"
    assert fields["version"] == 20
    assert fields["flags"] == 0
    assert fields["method"] == 0
    assert fields["time"] == SOME_DOS_TIME
    assert fields["date"] == SOME_DOS_DATE
    assert fields["crc"] == 0x01020304
    assert fields["compressed"] == fields["size"] == 5
    assert fields["comment_length"] == 0
    assert fields["disk"] == 0
    assert fields["internal"] == 0
    assert fields["external"] == 0o100644 << 16
    assert fields["header_at"] == 77
    assert extras == {TIMESTAMP: struct.pack("<BL", 1, SOME_TIME)}


def test_a_folders_record_says_so_to_unix_and_to_dos() -> None:
    fields, _ = central(b"folder/", size=0, crc=0)
    assert fields["external"] == 0o040755 << 16 | 0x10


def test_the_directory_has_the_crc_that_the_header_left_to_the_descriptor() -> None:
    fields, _ = central(descriptor=True, crc=0xDEADBEEF)
    assert fields["flags"] == 1 << 3
    assert fields["crc"] == 0xDEADBEEF


@pytest.mark.parametrize("header_at", [0, MAX_32 - 1, MAX_32, MAX_32 + 1, 1 << 41])
@pytest.mark.parametrize("size", [*SMALL_SIZES, *BIG_SIZES])
def test_a_directory_record_has_in_zip64_what_needs_it_and_no_more(size: int, header_at: int) -> None:
    fields, extras = central(size=size, header_at=header_at)
    needed = [size, size] * (size >= MAX_32) + [header_at] * (header_at >= MAX_32)
    assert list(extras) == [ZIP64, TIMESTAMP][not needed :]
    assert extras.get(ZIP64, b"") == struct.pack(f"<{len(needed)}Q", *needed)
    assert fields["compressed"] == fields["size"] == min(size, MAX_32)
    assert fields["header_at"] == min(header_at, MAX_32)
    assert fields["version"] == (45 if needed else 20)
    assert fields["made_by"] == 3 << 8 | fields["version"]


@pytest.mark.parametrize(
    ("name", "flagged"), [(b"plain.txt", False), ("ü.txt".encode(), True), (b"\x7f", False), (b"\x80", True)]
)
@pytest.mark.parametrize("record", [local, central])
def test_the_utf_8_flag_stands_where_a_name_is_not_ascii(record: Any, name: bytes, flagged: bool) -> None:  # noqa: FBT001
    fields, _ = record(name)
    assert fields["flags"] == (1 << 11 if flagged else 0)
    fields, _ = record(name, descriptor=True)
    assert fields["flags"] == (1 << 11 if flagged else 0) | 1 << 3


@pytest.mark.parametrize("record", [local, central])
@pytest.mark.parametrize("mtime", [0, 1, SOME_TIME, 2**31 - 1])
def test_the_timestamp_field_has_the_exact_second(record: Any, mtime: int) -> None:
    _, extras = record(mtime=mtime)
    assert extras[TIMESTAMP] == struct.pack("<Bl", 1, mtime)


@pytest.mark.parametrize("record", [local, central])
@pytest.mark.parametrize("mtime", [-1, 2**31, 2**32 - 1, 2**40])
def test_a_time_that_31_bits_do_not_hold_has_no_timestamp_field(record: Any, mtime: int) -> None:
    _, extras = record(mtime=mtime)
    assert extras == {}


def dos(fields: dict[str, Any]) -> str:
    date, clock = fields["date"], fields["time"]
    day = f"{1980 + (date >> 9)}-{date >> 5 & 15:02}-{date & 31:02}"
    return f"{day} {clock >> 11:02}:{clock >> 5 & 63:02}:{(clock & 31) * 2:02}"


@pytest.mark.parametrize("record", [local, central])
@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ("1970-01-01T00:00:00", "1980-01-01 00:00:00"),
        ("1979-12-31T23:59:59", "1980-01-01 00:00:00"),
        ("1980-01-01T00:00:00", "1980-01-01 00:00:00"),
        ("1980-01-01T00:00:01", "1980-01-01 00:00:00"),
        ("1999-12-31T23:59:59", "1999-12-31 23:59:58"),
        ("2000-02-29T12:30:45", "2000-02-29 12:30:44"),
        ("2038-01-19T03:14:08", "2038-01-19 03:14:08"),
        ("2100-03-01T00:00:02", "2100-03-01 00:00:02"),
        ("2107-12-31T23:59:59", "2107-12-31 23:59:58"),
        ("2108-01-01T00:00:00", "2107-12-31 23:59:58"),
        ("9999-12-31T23:59:59", "2107-12-31 23:59:58"),
    ],
)
def test_dos_time_is_utc_and_kept_within_its_years(record: Any, when: str, shown: str) -> None:
    fields, _ = record(mtime=int(datetime.fromisoformat(f"{when}+00:00").timestamp()))
    assert dos(fields) == shown


@settings(deadline=None)
@given(st.datetimes(datetime(1980, 1, 1), datetime(2107, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001  # must be so
def test_dos_time_is_what_the_calendar_says(when: datetime) -> None:
    when = when.replace(microsecond=0)
    fields, _ = local(mtime=int(when.timestamp()))
    assert dos(fields) == f"{when - timedelta(seconds=when.second % 2):%Y-%m-%d %H:%M:%S}"


@pytest.fixture
def _somewhere_else(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "NPT-05:45")
    time.tzset()
    assert time.localtime(0).tm_min == 45
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_somewhere_else")
def test_the_machines_time_zone_does_not_matter() -> None:
    fields, _ = local()
    assert dos(fields) == "2024-02-29 13:14:14"


def end(**changes: int) -> bytes:
    return records.end_records(**{"entries": 3, "directory_at": 1000, "directory_size": 200, **changes})


@pytest.mark.parametrize(
    "values",
    [
        {"entries": 0},
        {"entries": 65_534},
        {"directory_at": MAX_32 - 1},
        {"directory_size": MAX_32 - 1},
        {"entries": 65_534, "directory_at": MAX_32 - 1, "directory_size": MAX_32 - 1},
    ],
)
def test_the_end_record_stands_alone_where_all_values_fit(values: dict[str, int]) -> None:
    wanted = {"entries": 3, "directory_at": 1000, "directory_size": 200, **values}
    signature, disk, start_disk, here, entries, size, at, comment = END.unpack(end(**values))
    assert signature == b"PK\x05\x06"
    assert disk == start_disk == 0
    assert here == entries == wanted["entries"]
    assert size == wanted["directory_size"]
    assert at == wanted["directory_at"]
    assert comment == 0


@pytest.mark.parametrize(
    "values",
    [
        {"entries": 65_535},
        {"entries": 70_000},
        {"entries": 1 << 33},
        {"directory_at": MAX_32},
        {"directory_at": MAX_32 + 1},
        {"directory_size": MAX_32},
        {"directory_size": MAX_32 + 1},
        {"entries": 70_000, "directory_at": 1 << 40, "directory_size": 5 << 30},
    ],
)
def test_a_value_that_does_not_fit_brings_the_zip64_end_record_and_its_locator(values: dict[str, int]) -> None:
    wanted = {"entries": 3, "directory_at": 1000, "directory_size": 200, **values}
    raw = end(**values)
    assert len(raw) == END_64.size + LOCATOR_64.size + END.size

    signature, length, made_by, version, disk, start_disk, here, entries, size, at = END_64.unpack_from(raw)
    assert signature == b"PK\x06\x06"
    assert length == END_64.size - 12, "it does not count its signature and itself"
    assert made_by == 3 << 8 | 45
    assert version == 45
    assert disk == start_disk == 0
    assert here == entries == wanted["entries"]
    assert size == wanted["directory_size"]
    assert at == wanted["directory_at"]

    signature, disk, end_64_at, disks = LOCATOR_64.unpack_from(raw, END_64.size)
    assert signature == b"PK\x06\x07"
    assert (disk, disks) == (0, 1)
    assert end_64_at == wanted["directory_at"] + wanted["directory_size"]

    signature, _, _, here, entries, size, at, _ = END.unpack_from(raw, END_64.size + LOCATOR_64.size)
    assert signature == b"PK\x05\x06"
    assert here == entries == min(wanted["entries"], 0xFFFF)
    assert size == min(wanted["directory_size"], MAX_32)
    assert at == min(wanted["directory_at"], MAX_32)


BORDERS = st.sampled_from([0, 1, MAX_32 - 1, MAX_32, MAX_32 + 1, 1 << 40]) | st.integers(0, 1 << 50)


@given(
    st.binary(max_size=300),
    BORDERS,
    st.sampled_from([0, (1 << 31) - 1, 1 << 31, MAX_32]) | st.integers(0, MAX_32),
    st.booleans(),
    BORDERS,
)
def test_lengths_are_those_of_the_encoded_records(
    name: bytes,
    size: int,
    mtime: int,
    late: bool,  # noqa: FBT001  -- hypothesis passes it so
    header_at: int,
) -> None:
    """They are asked once a shape; whatever decides a record's length must be part of the shape."""
    lengths = records.lengths(size=size, mtime=mtime, descriptor=late, header_at=header_at)
    fields: dict[str, Any] = {"size": size, "crc": 1, "mtime": mtime, "descriptor": late}
    assert lengths.header + len(name) == len(records.local_header(name, **fields))
    assert lengths.directory + len(name) == len(records.directory_record(name, header_at=header_at, **fields))
    assert lengths.descriptor == (len(records.descriptor(size=size, crc=1)) if late else 0)


def test_a_deflated_entry_has_its_two_sizes_in_every_record() -> None:
    fields, _ = local(size=100, deflated=60)
    assert (fields["method"], fields["size"], fields["compressed"], fields["crc"]) == (8, 100, 60, 0x01020304)
    fields, _ = central(size=100, deflated=60)
    assert (fields["method"], fields["size"], fields["compressed"]) == (8, 100, 60)
    raw = records.descriptor(size=100, crc=7, deflated=60, zip64=False)
    assert struct.unpack("<4s3L", raw) == (b"PK\7\x08", 7, 60, 100)


def test_a_deflated_entry_has_zip64_for_the_values_that_need_it() -> None:
    fields, extras = central(size=5 << 30, deflated=1000)
    assert (fields["size"], fields["compressed"], extras[ZIP64]) == (MAX_32, 1000, struct.pack("<Q", 5 << 30))
    fields, extras = central(size=MAX_32 - 1, deflated=MAX_32 + 9, header_at=1 << 40)
    assert (fields["size"], fields["compressed"], fields["header_at"]) == (MAX_32 - 1, MAX_32, MAX_32)
    assert extras[ZIP64] == struct.pack("<QQ", MAX_32 + 9, 1 << 40)
    _, extras = local(size=5 << 30, deflated=1000)
    assert extras[ZIP64] == struct.pack("<QQ", 5 << 30, 1000)


@pytest.mark.parametrize("zip64", [False, True])
def test_the_header_of_what_is_still_to_be_deflated_tells_nothing(zip64: bool) -> None:  # noqa: FBT001  -- a parameter
    raw = records.open_header(b"a", mtime=SOME_TIME, zip64=zip64)
    fields = dict(zip(LOCAL_FIELDS.split(), LOCAL.unpack_from(raw), strict=True))
    extras = extras_of(raw[LOCAL.size :], b"a", fields)
    assert (fields["flags"], fields["method"], fields["crc"]) == (1 << 3, 8, 0)
    assert fields["size"] == fields["compressed"] == (MAX_32 if zip64 else 0)
    assert extras.get(ZIP64) == (bytes(16) if zip64 else None)
    assert fields["version"] == (45 if zip64 else 20)
    raw = records.descriptor(size=100, crc=7, deflated=60, zip64=zip64)
    assert struct.unpack("<4sLQQ" if zip64 else "<4s3L", raw) == (b"PK\7\x08", 7, 60, 100)
