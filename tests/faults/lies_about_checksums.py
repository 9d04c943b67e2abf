"""The lies about CRCs, copies and parts, each seen of a real store or told of one: `stub.on(does(...), a_lie())`."""

from dataclasses import replace

from tests.faults.asked import Asked
from tests.faults.checksums import encoded
from tests.faults.content import Given
from tests.faults.documents import error
from tests.faults.honest_multipart import copied_object, upload_part_copy
from tests.faults.http_reply import Reply
from tests.faults.lies import edited, header
from tests.faults.lying_s3 import Lie, LyingS3
from tests.faults.store import Part

CRC32 = "<ChecksumCRC32>[^<]*</ChecksumCRC32>"


def copy_without_crc() -> Lie:
    """As a store that knows no checksums answers; Swift and moto do."""
    return edited((CRC32, ""))


def wrong_copy_crc(crc: int = 0xDEADBEEF) -> Lie:
    return edited((CRC32, f"<ChecksumCRC32>{encoded(crc)}</ChecksumCRC32>"))


def copy_crc_of_whole_source(stub: LyingS3) -> Lie:
    """Answer a copied range with the CRC of all the object that it is from."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        return wrong_copy_crc(copied_object(stub.store, asked).crc)(asked, honest)

    return lie


def copies_nothing(stub: LyingS3) -> Lie:
    """Say that the copy went well, and keep an empty part; rclone does."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        def store_empty_part() -> None:
            upload = stub.store.uploads[asked.query["uploadId"]]
            upload.parts[int(asked.query["partNumber"])] = Part(Given(b""))

        return replace(honest, effect=store_empty_part)

    return lie


def copies_whatever_is_there(stub: LyingS3) -> Lie:
    """Take no notice of the ETag that the source should have; moto does."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        headers = {name: text for name, text in asked.headers.items() if name.lower() != "x-amz-copy-source-if-match"}
        return upload_part_copy(stub.store, Asked(asked.method, asked.target, headers))

    return lie


def composite_without_number() -> Lie:
    """Tell the value of a HEAD without its `-N`, but with the right type; moto does."""

    def lie(asked: Asked, honest: Reply) -> Reply:
        value, _, _ = honest.headers["x-amz-checksum-crc32"].partition("-")
        return header("x-amz-checksum-crc32", value)(asked, honest)

    return lie


def composite_told_as_full() -> Lie:
    """The same, and the type says that it is the CRC of all the bytes."""
    without_number, full = composite_without_number(), header("x-amz-checksum-type", "FULL_OBJECT")
    return lambda asked, honest: full(asked, without_number(asked, honest))


def error_with_200(code: str = "InternalError") -> Lie:
    """Begin with 200 and find out later: S3 may do so with Complete and with copies. Nothing was done."""
    return lambda asked, honest: replace(error(500, code), status=200)


def omits_part(number: int) -> Lie:
    """Leave a part out of ListParts."""
    return edited((rf"<Part><PartNumber>{number}</PartNumber>.*?</Part>", ""))


def parts_without_etag() -> Lie:
    """List parts with an empty ETag; Swift does so with those that were copied whole."""
    return edited((r"(<Part>.*?<ETag>)[^<]*", r"\1"))
