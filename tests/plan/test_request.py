"""The request model: what is asked for is meant, or refused with the name of the field."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bucketzip.plan.request import (
    DAY_SECONDS,
    MAX_FILENAME,
    MAX_KEY_BYTES,
    MAX_METADATA_BYTES,
    MAX_SOURCES,
    MAX_TAGS,
    ArchiveRequest,
    DownloadRequest,
    Kind,
    Location,
    SourceRequest,
    parse_url,
)


def request(**fields: Any) -> DownloadRequest:
    return DownloadRequest.model_validate_json(json.dumps({"sources": ["s3://bucket/key"], **fields}))


def refused(**fields: Any) -> list[tuple[str, str]]:
    """Return where and what was wrong."""
    with pytest.raises(ValidationError) as caught:
        request(**fields)
    return [(".".join(map(str, error["loc"])), error["msg"]) for error in caught.value.errors()]


def refused_source(**fields: Any) -> list[tuple[str, str]]:
    return refused(sources=[{"url": "s3://bucket/key", **fields}])


def test_a_url_alone_is_enough() -> None:
    asked = request(sources=["s3://bucket/key"])
    assert asked.sources == [SourceRequest(url="s3://bucket/key")]
    assert asked.filename == "archive.zip"
    assert asked.root is None
    assert asked.flatten is False
    assert asked.on_missing == "fail"
    assert asked.expires_in == DAY_SECONDS


def test_urls_and_objects_may_stand_beside_each_other() -> None:
    asked = request(sources=["s3://bucket/a", {"url": "s3://bucket/b", "include": ["*.txt"], "exclude": ["x"]}])
    assert [source.url for source in asked.sources] == ["s3://bucket/a", "s3://bucket/b"]
    assert asked.sources[1].include == ["*.txt"]
    assert asked.sources[1].exclude == ["x"]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://bucket", Location("bucket", "", Kind.FOLDER)),
        ("s3://bucket/", Location("bucket", "", Kind.FOLDER)),
        ("s3://bucket/a/b/", Location("bucket", "a/b/", Kind.FOLDER)),
        ("s3://bucket/a/b", Location("bucket", "a/b", Kind.EITHER)),
        ("s3://bucket/a/b*", Location("bucket", "a/b", Kind.PREFIX)),
        ("s3://bucket/*", Location("bucket", "", Kind.PREFIX)),
        ("s3://bucket/a/*", Location("bucket", "a/", Kind.PREFIX)),
        ("s3://bucket//", Location("bucket", "/", Kind.FOLDER)),
        ("s3://bucket//a", Location("bucket", "/a", Kind.EITHER)),
        ("S3://bucket/a", Location("bucket", "a", Kind.EITHER)),
        ("s3://Old_Bucket.1/a", Location("Old_Bucket.1", "a", Kind.EITHER)),
        ("s3://bucket/100%25 a+b?c#d", Location("bucket", "100%25 a+b?c#d", Kind.EITHER)),
        ("s3://bucket/a://b", Location("bucket", "a://b", Kind.EITHER)),
        ("s3://bucket/\u00fc\n", Location("bucket", "\u00fc\n", Kind.EITHER)),
    ],
)
def test_a_url_is_taken_apart(url: str, location: Location) -> None:
    """A key stands in it as it is: nothing is decoded, and only a final slash or star means something."""
    assert parse_url(url) == location
    assert request(sources=[url]).sources[0].location == location


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "a source is written s3://bucket/key, not ''"),
        ("bucket/key", "a source is written s3://bucket/key, not 'bucket/key'"),
        ("https://bucket.s3.amazonaws.com/key", "a source is written s3://bucket/key, not 'https:"),
        ("s3:/bucket/key", "a source is written s3://bucket/key"),
        ("s3://", "'' is not a bucket's name"),
        ("s3:///key", "'' is not a bucket's name"),
        ("s3://b/key", "'b' is not a bucket's name"),
        ("s3://buck et/key", "'buck et' is not a bucket's name"),
        ("s3://bucket\n/key", r"'bucket\n' is not a bucket's name"),
        ("s3://b\u00fccket/key", "is not a bucket's name"),
        ("s3://-bucket/key", "'-bucket' is not a bucket's name"),
        ("s3://user@bucket/key", "'user@bucket' is not a bucket's name"),
    ],
)
def test_another_url_is_refused_and_shown(url: str, said: str) -> None:
    ((where, message),) = refused(sources=[url])
    assert where == "sources.0.url"
    assert said in message
    assert len(refused(sources=["x" * 100_000])[0][1]) < 400


def test_the_longest_key_fits_and_a_longer_one_does_not() -> None:
    """1024 bytes are S3's limit: 512 characters of two bytes each."""
    bucket = "b" * 63
    for key in ("k" * MAX_KEY_BYTES, "\u00fc" * (MAX_KEY_BYTES // 2)):
        for end in ("", "*"):
            assert request(sources=[f"s3://{bucket}/{key}{end}"]).sources[0].location.key == key
        ((where, message),) = refused(sources=[f"s3://{bucket}/{key}k"])
        assert where == "sources.0.url"
        assert "at most 1024 bytes" in message


@pytest.mark.parametrize("field", ["name", "version_id"])
@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a/", "s3://bucket/a*"])
def test_a_name_and_a_version_are_of_one_object(field: str, url: str) -> None:
    ((where, message),) = refused(sources=[{"url": url, field: "x"}])
    assert where == "sources.0"
    assert f"`{field}` needs the URL of one object or folder" in message
    assert url in message
    assert getattr(request(sources=[{"url": "s3://bucket/a", field: "x"}]).sources[0], field) == "x"


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"sources": "s3://bucket/key"}, "sources"),
        ({"sources": []}, "sources"),
        ({"sources": None}, "sources"),
        ({"sources": [1]}, "sources.0"),
        ({"sources": [None]}, "sources.0"),
        ({"sources": [["s3://bucket/key"]]}, "sources.0"),
        ({"sources": [{}]}, "sources.0.url"),
        ({"flatten": "true"}, "flatten"),
        ({"flatten": 1}, "flatten"),
        ({"flatten": None}, "flatten"),
        ({"root": 1}, "root"),
        ({"root": ""}, "root"),
        ({"root": "x" * 1025}, "root"),
        ({"filename": None}, "filename"),
        ({"filename": ["a.zip"]}, "filename"),
        ({"on_missing": "ignore"}, "on_missing"),
        ({"on_missing": True}, "on_missing"),
        ({"expires_in": "3600"}, "expires_in"),
        ({"expires_in": 3600.5}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"expires_in": None}, "expires_in"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_field(fields: dict[str, Any], where: str) -> None:
    """Nothing is guessed: "true" is no boolean, and "3600" no number."""
    assert [found for found, _ in refused(**fields)] == [where]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"url": 1}, "url"),
        ({"include": "*.txt"}, "include"),
        ({"include": [1]}, "include.0"),
        ({"include": [""]}, "include.0"),
        ({"include": ["a"] * 1001}, "include"),
        ({"exclude": {"a": "b"}}, "exclude"),
        ({"exclude": ["x" * 1025]}, "exclude.0"),
        ({"prefix": ""}, "prefix"),
        ({"prefix": 1}, "prefix"),
        ({"name": ""}, "name"),
        ({"version_id": 1}, "version_id"),
    ],
)
def test_a_value_of_another_type_in_a_source_is_refused_by_its_field(fields: dict[str, Any], where: str) -> None:
    assert [found for found, _ in refused_source(**fields)] == [f"sources.0.{where}"]


def test_an_unknown_field_is_refused_by_its_name_at_every_level() -> None:
    assert [where for where, _ in refused(sourcess=[], Filename="x")] == ["sourcess", "Filename"]
    assert [where for where, _ in refused_source(includes=["*"])] == ["sources.0.includes"]
    both = refused(sources=["s3://bucket/a", {"url": "s3://bucket/b", "nmae": "x"}], exipres_in=60)
    assert [where for where, _ in both] == ["sources.1.nmae", "exipres_in"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert [where for where, _ in refused(sources=["x", "s3://bucket/a", "y"], flatten=1)] == [
        "sources.0.url",
        "sources.2.url",
        "flatten",
    ]


@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ("a.zip", "a.zip"),
        ("A.ZIP", "A.ZIP"),
        ("a", "a.zip"),
        ("a.tar", "a.tar.zip"),
        ("zip", "zip.zip"),
        (".zip", ".zip"),
        ("caf\u00e9 \u65e5\u672c", "caf\u00e9 \u65e5\u672c.zip"),
        ('quo"te; filename=x', 'quo"te; filename=x.zip'),
        ("...", "....zip"),
        ("x" * (MAX_FILENAME - 4), "x" * (MAX_FILENAME - 4) + ".zip"),
    ],
)
def test_the_file_is_called_zip(asked: str, called: str) -> None:
    assert request(filename=asked).filename == called


@pytest.mark.parametrize(
    "asked",
    [
        "",
        ".",
        "..",
        "a/b.zip",
        "../a.zip",
        "a\\b.zip",
        "a\r\nSet-Cookie: x=y",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\tb",
        "a\x1fb",
        "a\x7fb",
        "x" * (MAX_FILENAME + 1),
        "x" * (MAX_FILENAME - 3),  # too long with its `.zip`
        "x" * 100_000,
    ],
)
def test_a_filename_that_is_a_path_or_a_header_is_refused(asked: str) -> None:
    assert [where for where, _ in refused(filename=asked)] == ["filename"]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
@pytest.mark.parametrize("field", ["filename", "root"])
def test_text_that_is_no_unicode_is_refused(field: str, text: str) -> None:
    with pytest.raises(ValidationError):
        DownloadRequest.model_validate({"sources": ["s3://bucket/key"], field: text})
    with pytest.raises(ValidationError):
        DownloadRequest.model_validate({"sources": [f"s3://bucket/{text}"]})


def test_a_link_lives_between_a_minute_and_a_year() -> None:
    for seconds in (60, 365 * DAY_SECONDS):
        assert request(expires_in=seconds).expires_in == seconds
    for seconds in (59, 0, -1, 365 * DAY_SECONDS + 1, 1 << 80):
        assert [where for where, _ in refused(expires_in=seconds)] == ["expires_in"]


def test_as_many_sources_as_are_allowed() -> None:
    urls = [f"s3://bucket/{number}" for number in range(MAX_SOURCES + 1)]
    assert len(request(sources=urls[:MAX_SOURCES]).sources) == MAX_SOURCES
    assert [where for where, _ in refused(sources=urls)] == ["sources"]


@pytest.mark.parametrize("body", ["", "null", "[]", '"s3://bucket/key"', "{", "{}", '{"sources": NaN}'])
def test_a_body_that_is_no_request_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        DownloadRequest.model_validate_json(body)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
GLOBS = st.lists(TEXT, max_size=3)
SOURCES: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    url=TEXT.filter(lambda key: not key.endswith(("/", "*"))).map(lambda key: f"s3://bucket/{key}"),
    include=GLOBS,
    exclude=GLOBS,
    name=st.none() | TEXT,
    prefix=st.none() | TEXT,
    version_id=st.none() | TEXT,
)


@settings(deadline=None)
@given(
    st.lists(SOURCES, min_size=1, max_size=3),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=200),
    st.none() | TEXT,
    st.booleans(),
)
def test_what_was_accepted_is_read_again_after_a_restart(
    sources: list[dict[str, Any]],
    filename: str,
    root: str | None,
    flatten: bool,  # noqa: FBT001
) -> None:
    """A link keeps its request as JSON until it is planned."""
    try:
        asked = request(sources=sources, filename=filename, root=root, flatten=flatten)
    except ValidationError:
        assert filename in {".", ".."} or len(filename) > MAX_FILENAME - 4
        return
    assert DownloadRequest.model_validate_json(asked.model_dump_json()) == asked


def test_a_request_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        request().flatten = True  # type: ignore[misc]  # that is the point


def archive(**fields: Any) -> ArchiveRequest:
    return ArchiveRequest.model_validate_json(
        json.dumps({"sources": ["s3://bucket/key"], "destination": "s3://out/a.zip", **fields})
    )


def refused_archive(**fields: Any) -> list[str]:
    """Return what was wrong, with where."""
    with pytest.raises(ValidationError) as caught:
        archive(**fields)
    return [f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in caught.value.errors()]


def test_an_archive_needs_sources_and_a_destination_alone() -> None:
    asked = archive()
    assert asked.bucket_and_key == ("out", "a.zip")
    told = asked.model_dump(exclude={"sources", "destination"}, exclude_defaults=True)
    assert told == {}
    assert asked.if_exists == "fail"
    assert asked.content_type == "application/zip"
    with pytest.raises(ValidationError, match="destination"):
        ArchiveRequest.model_validate({"sources": ["s3://bucket/key"]})


def test_what_a_link_alone_has_is_no_field_of_an_archive() -> None:
    assert refused_archive(filename="a.zip", expires_in=60) == [
        "filename: Extra inputs are not permitted",
        "expires_in: Extra inputs are not permitted",
    ]
    assert archive(root="r", flatten=True, on_missing="skip").root == "r"


@pytest.mark.parametrize(
    ("url", "bucket", "key"),
    [
        ("s3://out/a.zip", "out", "a.zip"),
        ("S3://out/x/y", "out", "x/y"),
        ("s3://out//a", "out", "/a"),
        ("s3://out/100%25 a+b?c#d*e.zip", "out", "100%25 a+b?c#d*e.zip"),
        ("s3://out/" + "k" * MAX_KEY_BYTES, "out", "k" * MAX_KEY_BYTES),
    ],
)
def test_a_destination_is_any_key(url: str, bucket: str, key: str) -> None:
    """`.zip` is not forced, and nothing is decoded."""
    assert archive(destination=url).bucket_and_key == (bucket, key)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://out", "a destination is one object"),
        ("s3://out/", "a destination is one object"),
        ("s3://out/folder/", "a destination is one object"),
        ("s3://out/a*", "a destination is one object"),
        ("out/a.zip", "a destination is written s3://bucket/key"),
        ("https://out/a.zip", "a destination is written s3://bucket/key"),
        ("s3://-/a.zip", "'-' is not a bucket's name"),
        ("s3://out/k" + "k" * MAX_KEY_BYTES, "at most 1024 bytes"),
    ],
)
def test_another_destination_is_refused(url: str, said: str) -> None:
    (message,) = refused_archive(destination=url)
    assert message.startswith("destination: ")
    assert said in message


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("if_exists", ["fail", "replace", "rename"]),
        ("storage_class", [None, "STANDARD", "DEEP_ARCHIVE", "MY_POOL2"]),
        ("sse", [None, "AES256", "aws:kms"]),
        ("acl", [None, "private", "public-read", "bucket-owner-full-control"]),
        ("tags", [{}, {"a": ""}, {"caf\u00e9 +-=._:/@": "x y"}, {str(number): "" for number in range(MAX_TAGS)}]),
        ("metadata", [{}, {"from": "me & you"}, {"a-b_c.1": "x"}, {"n": "v" * (MAX_METADATA_BYTES - 1)}]),
        ("content_type", ["application/zip", "application/x-zip; a=b", "x/y+z"]),
        ("priority", [-10, 0, 10]),
    ],
)
def test_what_s3_takes_is_taken(field: str, values: list[Any]) -> None:
    for value in values:
        assert getattr(archive(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("if_exists", ["", "overwrite", None]),
        ("storage_class", ["", "standard", "A B", "A\n", "A" * 65]),
        ("sse", ["", "aws:kms:dsse", "aes256"]),
        ("kms_key", ["", "a b", "a\r\nx: y"]),
        ("acl", ["", "public", "log-delivery-write"]),
        ("tags", [{"": "x"}, {"a\n": "x"}, {"a": "x&y"}, {"a": 1}, {"aws:x": "y"}, {"AWS:x": "y"}, ["a"]]),
        ("tags", [{str(number): "" for number in range(MAX_TAGS + 1)}, {"a" * 129: ""}, {"a": "b" * 257}]),
        ("metadata", [{"": "x"}, {"A": "x"}, {"a b": "x"}, {"a": ""}, {"a": " x"}, {"a": "x\r\ny: z"}]),
        ("metadata", [{"a": "\u00fc"}, {"bucketzip-job": "x"}, {"n": "v" * MAX_METADATA_BYTES}]),
        ("content_type", ["", "zip", "a/b\r\nx: y", "a/b\n"]),
        ("priority", [-11, 11, "1", 1.5, None]),
    ],
)
def test_what_s3_does_not_take_is_refused_by_its_field(field: str, values: list[Any]) -> None:
    for value in values:
        fields = {field: value} | ({"sse": "aws:kms"} if field == "kms_key" else {})
        assert all(message.startswith(field) for message in refused_archive(**fields)), value


def test_a_key_of_kms_is_for_kms() -> None:
    assert archive(sse="aws:kms", kms_key="alias/mine").kms_key == "alias/mine"
    for sse in (None, "AES256"):
        assert refused_archive(sse=sse, kms_key="alias/mine") == [": Value error, `kms_key` needs `sse` to be aws:kms"]


@given(
    st.lists(SOURCES, min_size=1, max_size=3),
    TEXT.filter(lambda key: not key.endswith(("/", "*"))),
    st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True), st.just("v"), max_size=3),
)
def test_an_archive_that_was_accepted_is_read_again_after_a_restart(
    sources: list[dict[str, Any]], key: str, metadata: dict[str, str]
) -> None:
    asked = archive(sources=sources, destination=f"s3://out/{key}", metadata=metadata)
    assert ArchiveRequest.model_validate_json(asked.model_dump_json()) == asked
    assert asked.bucket_and_key == ("out", key)
