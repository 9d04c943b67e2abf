"""What S3Zipper's clients send, in all the ways they send it, and which request it becomes. Without a server."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketzip.errors import BucketzipError, InvalidRequest, NoSuchObject, OverLimit
from bucketzip.plan.request import MAX_SOURCES, ArchiveRequest, DownloadRequest
from bucketzip.web.s3zipper import documents, mapper, mapping, paths
from bucketzip.web.s3zipper.fields import Fields
from bucketzip.web.s3zipper.sizes import human_size, parse_size
from bucketzip.web.s3zipper.tasks import Kind, TaskId, find_ids, task_uuid

FORM, JSON = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
ID = "0123456789abcdef0123456789abcdef"
UUID = "01234567-89ab-cdef-0123-456789abcdef"


def multipart(*pairs: tuple[str, str], boundary: str = "----b") -> tuple[bytes, str]:
    parts = (f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in pairs)
    return f"{''.join(parts)}--{boundary}--\r\n".encode(), f'multipart/form-data; boundary="{boundary}"'


def fields(body: bytes | dict[str, Any], content_type: str = JSON) -> Fields:
    return Fields(documents.parse(body if isinstance(body, bytes) else json.dumps(body).encode(), content_type))


def archive(**values: Any) -> ArchiveRequest:
    return mapping.archive_request(fields({"awsBucket": "bucket", "filePaths": ["bucket/a"], **values}), [], None)


def download(**values: Any) -> DownloadRequest:
    return mapping.download_request(fields({"awsBucket": "bucket", "filePaths": ["bucket/a"], **values}), [])


def refused(**values: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        archive(**values)
    return str(caught.value)


TWO = [("filePaths", "b/x y"), ("filePaths", "b/ü")]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (urlencode([*TWO, ("expireLink", "24")]).encode(), FORM),
        (urlencode([*TWO, ("expireLink", "24")]).encode(), ""),
        (urlencode([("filePaths[]", value) for _, value in TWO] + [("expireLink", "24")]).encode(), FORM),
        (urlencode([(f"filePaths[{n}]", v) for n, (_, v) in enumerate(TWO)] + [("expireLink", "24")]).encode(), FORM),
        (json.dumps({"filePaths": ["b/x y", "b/ü"], "expireLink": 24}).encode(), JSON),
        (json.dumps({"filePaths": ["b/x y", "b/ü"], "expireLink": "24"}).encode(), FORM),
        (b'\xef\xbb\xbf\n {"filePaths": ["b/x y", "b/\xc3\xbc"], "expireLink": 24.0}', "text/plain"),
        multipart(*TWO, ("expireLink", "24")),
        multipart(("filePaths[0]", "b/x y"), ("filePaths[1]", "b/ü"), ("expireLink", "24")),
        multipart(*TWO, ("expireLink", "24"), boundary="'()+_,-./:=?"),
    ],
)
def test_the_same_by_every_encoding(body: bytes, content_type: str) -> None:
    read = fields(body, content_type)
    assert read.texts("filePaths") == ["b/x y", "b/ü"]
    assert read.hours("expireLink") == 24 * 3600
    assert read.text("zipTo") is None


@pytest.mark.parametrize(("told", "seconds"), [(0.5, 1800), ("0.5", 1800), (1 / 3, 1199), (8760, 31_536_000)])
def test_hours_may_be_parts_of_one(told: float | str, seconds: int) -> None:
    assert Fields({"expireLink": told}).hours("expireLink") == seconds


def test_parts_as_okhttp_and_others_write_them() -> None:
    body = (
        b"a preamble\r\n--b\r\ncontent-length: 1\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"content-disposition: form-data; name=filePaths\r\n\r\n1\r\n"
        b'--b\r\nContent-Disposition: form-data; filename="f"; name="filePaths"\r\n\r\n2\r\n3\r\n--b--\r\nan epilogue'
    )
    assert fields(body, "multipart/form-data; boundary=b").texts("filePaths") == ["1", "2\r\n3"]


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"{", JSON, "not JSON"),
        (b"[1]", JSON, "not an object"),
        (b"[1]", FORM, "not an object"),
        (b"nonsense", JSON, "not JSON"),
        (b'{"a": "\xff"}', JSON, "not JSON"),
        (b"{" + b'"a":{' * 100_000, JSON, "not JSON"),
        (b'{"a":' + b"[" * 100_000, JSON, "not JSON"),
        (b'{"a":' + b"9" * 10_000 + b"}", JSON, "not JSON"),
        (b"a=\xff", FORM, "not UTF-8"),
        (b"a=%ff", FORM, "not UTF-8"),
        (b"a&" * 500_000, FORM, "fields"),
        (b"--b\r\n\r\n" * 50_000, "multipart/form-data; boundary=b", "fields"),
        (b"--b\r\n\r\nx\r\n--b--", "multipart/form-data; boundary=b", "no name"),
        (multipart(("a", "x"))[0].replace(b"x", b"\xff"), "multipart/form-data; boundary=----b", "not UTF-8"),
        (b"x", "multipart/form-data", "boundary"),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, content_type: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        documents.parse(body, content_type)


def test_an_empty_body_has_no_fields() -> None:
    for content_type in (FORM, JSON, ""):
        assert documents.parse(b"", content_type) == {}


def test_more_paths_than_a_request_may_have() -> None:
    assert "filePaths: 10,000 at most" in refused(filePaths=["bucket/a"] * (MAX_SOURCES + 1))


def test_types_are_loose() -> None:
    read = fields({"t": True, "T": "True", "f": "false", "n": None, "e": " ", "i": 7, "l": ["a", "b"], "d": "folder"})
    assert [read.flag(name) for name in "tTfnedx"] == [True, True, False, False, False, False, False]
    assert [read.text(name) for name in "nei"] == [None, None, "7"]
    assert read.text("l") == "b"
    assert read.texts("l") == ["a", "b"]
    assert read.texts("i") == ["7"]
    assert read.texts("n") == read.texts("e") == []
    values: tuple[Any, ...] = ({}, [[]], "\ud800")
    for wrong in values:
        with pytest.raises(InvalidRequest, match="x: a text"):
            fields({"x": wrong}).text("x")


@pytest.mark.parametrize(
    ("path", "bucket", "url", "prefix"),
    [
        ("bucket/a/b/c.txt", "bucket", "s3://bucket/a/b/c.txt", "a/b"),
        ("bucket/c.txt", "bucket", "s3://bucket/c.txt", None),
        ("bucket", "bucket", "s3://bucket/", None),
        ("bucket/", "bucket", "s3://bucket/", None),
        ("/bucket/a/b/", "bucket", "s3://bucket/a/b/", "a/b"),
        ("a/b c/d", "bucket", "s3://bucket/a/b c/d", "a/b c"),
        ("c.txt", "bucket", "s3://bucket/c.txt", None),
        ("bucketeer/x", "bucket", "s3://bucket/bucketeer/x", "bucketeer"),
        ("bucket/bucket/x", "bucket", "s3://bucket/bucket/x", "bucket"),
        ("other/a/x", None, "s3://other/a/x", "a"),
        ("s3://other/a/x", "bucket", "s3://other/a/x", "a"),
        ("S3://other", "bucket", "s3://other/", None),
        ("a/2024*", "bucket", "s3://bucket/a/2024*", "a"),
        ("%7Bx%7D/a+b", "bucket", "s3://bucket/%7Bx%7D/a+b", "%7Bx%7D"),
    ],
)
def test_a_path_is_a_source_with_all_its_folders(path: str, bucket: str | None, url: str, prefix: str | None) -> None:
    plain = download(filePaths=[path], awsBucket=bucket).sources[0]
    assert (plain.url, plain.prefix) == (url, prefix)
    below_bucket = download(filePaths=[path], awsBucket=bucket, bucketAsDir="true").sources[0]
    name = url.split("/")[2]
    assert (below_bucket.url, below_bucket.prefix) == (url, f"{name}/{prefix}" if prefix else name)


@pytest.mark.parametrize(
    ("zip_to", "file_name", "bucket", "url", "if_exists"),
    [
        ("a/b/name.zip", None, "bucket", "s3://bucket/a/b/name.zip", "replace"),
        ("/a/b/name.zip", "", "bucket", "s3://bucket/a/b/name.zip", "replace"),
        ("bucket/a/name.ZIP", "other.zip", "bucket", "s3://bucket/a/name.ZIP", "replace"),
        ("bucket/folder", "x.zip", "bucket", "s3://bucket/folder/x.zip", "replace"),
        ("bucket/folder/", "x", "bucket", "s3://bucket/folder/x.zip", "replace"),
        ("bucket", "x.zip", "bucket", "s3://bucket/x.zip", "replace"),
        ("name", "name.zip", "bucket", "s3://bucket/name/name.zip", "replace"),
        ("s3://other/folder", "x.zip", "bucket", "s3://other/folder/x.zip", "replace"),
        ("s3://other/x.zip", None, "bucket", "s3://other/x.zip", "replace"),
        ("other/folder", "x.zip", None, "s3://other/folder/x.zip", "replace"),
        (None, "x.zip", "bucket", "s3://bucket/x.zip", "replace"),
        (None, "x.zip", None, "s3://bucket/x.zip", "replace"),
        (None, None, "bucket", "s3://bucket/archive.zip", "rename"),
        ("folder", "", "bucket", "s3://bucket/folder/archive.zip", "rename"),
    ],
)
def test_where_the_archive_goes(
    zip_to: str | None, file_name: str | None, bucket: str | None, url: str, if_exists: str
) -> None:
    wanted = archive(zipTo=zip_to, zipFileName=file_name, awsBucket=bucket)
    assert (wanted.destination, wanted.if_exists) == (url, if_exists)


@pytest.mark.parametrize(
    "path", ["../a.zip", "a/../../b.zip", "bucket/../other/a.zip", "a/./b.zip", "a\\b.zip", "a\n.zip"]
)
def test_no_destination_leads_elsewhere(path: str) -> None:
    assert "`..`" in refused(zipTo=path)
    assert "`..`" in refused(zipTo="folder", zipFileName=path)


def test_the_name_of_a_download() -> None:
    assert download().filename == "archive.zip"
    assert download(zipFileName="a").filename == "a.zip"
    assert download(zipFileName="a/b.zip").filename == "b.zip"
    assert download(zipTo="a/b.zip").filename == "b.zip"
    assert download(zipTo="a/b/").filename == "b.zip"


def test_everything_else_that_a_request_says() -> None:
    wanted = archive(
        expireLink="1.5",
        resultsEmail="a@example.com",
        maxFileSize="10MB",
        maxFileCount=10,
        usePresignUrl="false",
        unheard="of",
        awsKey="AKIA",
        awsSecret="s",
        awsToken="",
        awsRegion="eu-west-1",
        awsEndpoint="s3.example.com",
    )
    assert (wanted.link_expires_in, wanted.email) == (5400, "a@example.com")
    assert (wanted.max_bytes, wanted.max_entries) == (10_000_000, 10)
    keys = mapping.key_credentials(fields({"awsKey": "AKIA", "awsSecret": "s", "awsEndpoint": "s3.example.com"}))
    assert keys is not None
    assert (keys.access_key_id, keys.secret_access_key.get_secret_value(), keys.session_token) == ("AKIA", "s", None)
    assert (keys.region, keys.endpoint) == (None, "https://s3.example.com")
    assert "secret" not in wanted.model_dump_json()
    assert archive().credentials is None
    assert (archive().link_expires_in, download().expires_in) == (86400, 86400)
    assert (archive(maxFileCount="0", maxFileSize=0).max_entries, archive(maxFileSize="0").max_bytes) == (None, None)
    read = fields({"awsBucket": "bucket", "filePaths": "a"})
    assert mapping.archive_request(read, [], "bucket-owner-full-control").acl == "bucket-owner-full-control"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"filePaths": []}, "filePaths: name what goes into"),
        ({"filePaths": "", "filePath": "a"}, "filePaths: name what goes into"),
        ({"awsBucket": None, "filePaths": ["no bucket/x"]}, "filePaths[0]: "),
        ({"expireLink": "0"}, "expireLink: hours"),
        ({"expireLink": -1}, "expireLink: hours"),
        ({"expireLink": 8761}, "expireLink: hours"),
        ({"expireLink": "soon"}, "expireLink: hours"),
        ({"maxFileSize": "much"}, "maxFileSize: bytes"),
        ({"maxFileCount": "1e3"}, "maxFileCount: a whole number"),
        ({"resultsEmail": "a@b\nBcc: c@d"}, "resultsEmail: "),
        ({"awsKey": "AKIA"}, "awsKey and awsSecret"),
        ({"awsToken": "t"}, "awsToken and awsEndpoint need"),
        ({"awsEndpoint": "e"}, "awsToken and awsEndpoint need"),
        ({"awsKey": "a b", "awsSecret": "hush"}, "awsKey: "),
        ({"awsKey": "a", "awsSecret": "hush", "awsRegion": "../x"}, "awsRegion: "),
        ({"awsKey": "a", "awsSecret": "hush", "awsEndpoint": "http://a@b"}, "awsEndpoint: "),
        ({"zipTo": "s3://x/y.zip"}, "zipTo: "),
    ],
)
def test_mistakes_are_told_by_the_names_that_the_client_knows(values: dict[str, Any], said: str) -> None:
    message = refused(**values)
    assert message.startswith(said)
    assert "hush" not in message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidRequest("email: this server sends no mail"), "resultsEmail: this server sends no mail"),
        (InvalidRequest("credentials.endpoint: not there"), "awsEndpoint: not there"),
        (OverLimit("max_entries is 2, and there are 3"), "maxFileCount is 2, and there are 3"),
        (OverLimit("max_bytes is 2, and the first 3"), "maxFileSize is 2, and the first 3"),
        (OverLimit("s3://b/max_entries has more"), "s3://b/max_entries has more"),
        (NoSuchObject("email: is a key"), "email: is a key"),
        (InvalidRequest(""), "The request is not valid."),
    ],
)
def test_errors_of_others_are_told_by_these_names_too(error: BucketzipError, said: str) -> None:
    told = mapping.in_their_words(error)
    assert (type(told), str(told)) == (type(error), said)


def test_many_mistakes_are_counted() -> None:  # and the destination lies in no bucket either
    assert refused(filePaths=["x y/a"] * 50, awsBucket=None).endswith("; and 41 more")


def test_the_document_of_a_file_mapper() -> None:
    paths_ = [
        {"key": "bucket/dir/sub/", "name": ""},
        {"key": "/", "name": "/"},
        {"key": "bucket/a", "name": "/x/y/"},
        {"key": "dir/", "name": "z"},
        {"key": "bucket/"},
    ]
    renames = mapper.parse_mapper(json.dumps({"paths": paths_}).encode(), "bucket")
    assert [(each["folder"], each["name"]) for each in renames] == [
        ("bucket/dir/sub/", ""),
        ("/", ""),
        ("bucket/a/", "x/y"),
        ("bucket/dir/", "z"),
        ("bucket/", ""),
    ]
    wanted = mapping.archive_request(fields({"filePaths": ["bucket/a"]}), renames, None)
    assert [(each.folder, each.name) for each in wanted.rename] == [(each["folder"], each["name"]) for each in renames]


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"[]", b"{}", b'{"paths": {}}', b'{"paths": [1]}', b'{"paths": [{}]}', b'{"paths": [{"key": {}}]}'],
)
def test_a_file_mapper_that_is_none(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"^fileMapper: "):
        mapper.parse_mapper(content, "bucket")


def test_where_a_file_mapper_is() -> None:
    assert mapping.mapper_place(fields({"fileMapper": ""})) is None
    assert mapping.mapper_place(fields({"fileMapper": "bucket/m.json"})) == ("bucket", "m.json")
    for wrong in ("bucket", "bucket/", "bucket/m*", "no bucket/m"):
        with pytest.raises(InvalidRequest, match=r"^fileMapper: "):
            mapping.mapper_place(fields({"fileMapper": wrong}))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (29, "29 B"), (999, "999 B"), (1000, "1.0 kB"), (9120, "9.1 kB"), (9949, "9.9 kB"), (9950, "10 kB"),
        (9999, "10 kB"), (82_854_982, "83 MB"), (1_000_000, "1.0 MB"), (10**12, "1.0 TB"), (10**21, "1000 EB"),
    ],
)  # fmt: skip
def test_sizes_for_people(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000", 1000), ("10MB", 10**7), ("100000MB", 10**11), ("10 GiB", 10 << 30), ("1.5kB", 1500), ("2k", 2000),
        ("3 b", 3), ("1KiB", 1024), ("", None), ("MB", None), ("-1", None), ("1e3", None), ("1 XB", None),
        ("9" * 19, None),
    ],
)  # fmt: skip
def test_sizes_of_clients(text: str, size: int | None) -> None:
    assert parse_size(text) == size


def test_ids_are_known_by_value() -> None:
    archive_id, mail_id = TaskId(ID, is_mail=False), TaskId(ID, is_mail=True)
    uuid = task_uuid(Kind.ARCHIVE, ID)
    assert uuid == f"zipper_s3_{UUID}"
    for document in (
        {"message": "STARTED", "size": "9.1 kB", "chainTaskUUID": [{"streams3": uuid}, {"email": ""}]},
        {"taskUUID": [{"streams3v2": f"zipper_s3_{UUID}"}]},
        {"taskUUID": [{"idurl": f"task_{UUID.upper()}"}], "message": "made up"},
        {"chainTaskUUID": {"whatever": UUID}},
        {"zipID": ID},
        documents.parse(urlencode({"chainTaskUUID[0][streams3]": uuid}).encode(), FORM),
    ):
        assert find_ids(document) == [archive_id]
    chain = {"chainTaskUUID": [{"streams3": uuid}, {"email": task_uuid(Kind.MAIL, ID)}]}
    assert find_ids(chain) == [archive_id, mail_id]
    assert find_ids({"a": ["x", 1, None, f"{UUID}0", "", {"b": "STARTED"}]}) == []
    assert len(find_ids({"a": [ID] * 1000})) == 16


def test_an_enormous_document_without_ids_is_given_up() -> None:
    assert find_ids({"a": [1] * 20_000 + [ID]}) == []


ANY_TEXT = st.text(max_size=30) | st.sampled_from(
    ["true", "24", "b/x", "s3://b/k*", "10MB", "/", "..", "*.zip", "\ud800"]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda each: st.lists(each) | st.dictionaries(ANY_TEXT, each),
    max_leaves=8,
)
NAMES = [
    "awsKey", "awsSecret", "awsToken", "awsBucket", "awsRegion", "awsEndpoint", "filePaths", "zipTo", "zipFileName",
    "expireLink", "resultsEmail", "bucketAsDir", "usePresignUrl", "fileMapper", "maxFileSize", "maxFileCount",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), ANY_TEXT | ANY_JSON), ANY_JSON)
def test_any_fields_become_a_request_or_are_refused(values: dict[str, Any], map_: Any) -> None:
    read = fields(json.dumps({"filePaths": ["b/x"], **values}).encode())
    find_ids(values)
    for build in (
        lambda: mapping.archive_request(read, [], None).model_dump_json(),
        lambda: mapping.download_request(read, []).model_dump_json(),
        lambda: mapping.mapper_place(read),
        lambda: mapper.parse_mapper(json.dumps({"paths": map_}).encode(), "b"),
    ):
        try:
            build()
        except InvalidRequest as error:
            str(error).encode()


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                b"--b",
                b"\r\n",
                b"\r\n\r\n",
                b"Content-Disposition: form-data; name=",
                b'"',
                b"a",
                b"=",
                b"&",
                b"[",
                b"{",
                b"%ff",
                b";",
            ]
        )
    ).map(b"".join),
    st.sampled_from([FORM, JSON, "", "multipart/form-data; boundary=b", 'multipart/x; boundary="', "nonsense"])
    | st.text(max_size=20),
)
def test_any_bytes_become_a_document_or_are_refused(body: bytes, content_type: str) -> None:
    try:
        document = documents.parse(body, content_type)
    except InvalidRequest:
        return
    assert all(isinstance(name, str) for name in document)
    find_ids(document)


def test_locating_never_loses_a_key() -> None:
    assert paths.locate("bucket//x", "bucket") == ("bucket", "/x")
