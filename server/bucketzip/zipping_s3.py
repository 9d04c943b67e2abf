"""`ZippingS3`: ZIP archives of objects in S3, from Python, without a server. docs/zipping-s3.md tells more.

Each call has a machine of its own, with its state in a temporary directory that goes when the call ends.
"""

import asyncio
import io
import json
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bucketzip import extra_args as boto3_arguments
from bucketzip import in_memory, wording
from bucketzip.account import Identity, open_account, open_account_of_files
from bucketzip.apart import run_apart
from bucketzip.errors import NothingToZip, recorded
from bucketzip.foreground import End, abandon, end_of, watched
from bucketzip.in_memory import File, files_of
from bucketzip.jobs.archives import LOOK_SECONDS
from bucketzip.jobs.model import Job, State
from bucketzip.local.files import Files
from bucketzip.machine import Machine, OpenOwn, open_machine
from bucketzip.metrics import Metrics
from bucketzip.plan.discovery import Discovery
from bucketzip.plan.planner import Planner
from bucketzip.plan.request import ArchiveRequest, ZipRequest
from bucketzip.s3.client import Where, default_region
from bucketzip.s3.credentials import CredentialKeeper, Find, by_default_chain, these_keys
from bucketzip.s3.errors import OURS, Whose
from bucketzip.settings import Settings

_log = logging.getLogger(__name__)

OWNER = "ZippingS3"
PATIENCE_SECONDS = 120.0
"""How long S3 may be away, unless BUCKETZIP_JOB_PATIENCE_SECONDS says otherwise: a server has more patience."""
LEFT_BEHIND = "an unfinished upload could not be aborted; it is paid for until somebody does"

NamedFile = tuple[str, io.BytesIO]
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class Progress(NamedTuple):
    """How far a call is; totals are None until they are known. Bytes are of the content where that is compressed."""

    bytes: int
    of_bytes: int | None
    entries: int
    of_entries: int | None


class Zipped(NamedTuple):
    """An archive that was written. `copied_bytes` of it S3 copied itself, `built_bytes` passed through this host."""

    bucket: str
    key: str
    bytes: int
    entries: int
    etag: str
    version_id: str | None
    crc32: str
    copied_bytes: int
    built_bytes: int
    seconds: float

    @property
    def url(self) -> str:
        """As `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


Tell = Callable[[Progress], object]


class ZippingS3:
    """Zips objects of one bucket into that bucket, or reads them into memory.

    Its calls block until they are done, inside a running event loop too; several threads may call one instance. What
    S3 refuses is raised as `bucketzip.errors.BucketzipError`, of which `code` tells programs what it was.

    >>> zips3 = ZippingS3()
    >>> zips3.zipping_in_s3("my-bucket", "2024/", "photos").url
    's3://my-bucket/2024/photos.zip'
    """

    def __init__(self) -> None:
        self.credentials()

    def credentials(
        self,
        ACCESS_KEY: str | None = None,  # noqa: N803  -- these names are what users of the call write
        SECRET_KEY: str | None = None,  # noqa: N803
        SESSION_TOKEN: str | None = None,  # noqa: N803
        url: str | None = None,
        *,
        endpoint: str | None = None,
        region: str | None = None,
    ) -> None:
        """Say who the calls from now on are, and where; nothing is tried yet.

        Without keys those of the usual places are taken: environment, profile, container, the instance's role.
        `endpoint` is the URL of another S3 than AWS (`url` is an older name for it), `region` that of requests before
        the bucket has told its own. Raises ValueError where they do not go together.
        """
        if bool(ACCESS_KEY) != bool(SECRET_KEY) or (SESSION_TOKEN and not ACCESS_KEY):
            raise ValueError("ACCESS_KEY and SECRET_KEY are given together, SESSION_TOKEN only with them")
        if url and endpoint and url != endpoint:
            raise ValueError("url and endpoint are two names for one thing: give one of them")
        if (given := endpoint or url) and not given.lower().startswith(("http://", "https://")):
            raise ValueError(f"an endpoint is a URL, as https://s3.example.com, not {given!r}")
        self._find: Find = by_default_chain
        self._whose = OURS
        if ACCESS_KEY and SECRET_KEY:
            self._find = these_keys(ACCESS_KEY, SECRET_KEY, SESSION_TOKEN or None)
            self._whose = Whose("the keys given to ZippingS3.credentials", given=True)
        self._endpoint = given or None
        self._region = region or None

    def s3_download_in_memory(self, bucket_name: str, prefix: str, *, progress: Tell | None = None) -> list[NamedFile]:
        """Read all objects whose keys begin with `prefix`; returns (name, content) of each, in the order of the keys.

        A name is the key behind the last slash of the prefix, made safe and unique as in an archive; names of folder
        markers end with a slash. Returns [] where there are no such objects. All content is in memory at the end.
        `progress` is called in another thread, a few times a second.
        """
        request = _valid(ZipRequest, sources=[_url(bucket_name, f"{prefix}*")])
        return _with_home(partial(self._read, request, progress or _nobody))

    def zipping_in_s3(
        self,
        bucket_name: str,
        prefix: str,
        zip_name: str,
        files: Iterable[NamedFile] | None = None,
        extra_args: Mapping[str, Any] | None = None,
        *,
        compression: Literal["store", "deflate", "auto"] = "store",
        level: int = 3,
        progress: Tell | None = None,
    ) -> Zipped:
        """Write `zip_name` + ".zip" beside what begins with `prefix`: behind its last slash, else at the bucket's root.

        The archive has all objects whose keys begin with `prefix`, by the names of `s3_download_in_memory`, but for
        the archive itself; or, where there are any, the `files`, without reading anything from S3. An object of that
        key is replaced once the new one is complete. `extra_args` are boto3's ExtraArgs of an upload: ACL, ContentType
        (else application/zip), Metadata, ServerSideEncryption, SSEKMSKeyId, StorageClass and Tagging. `deflate`
        compresses, and `auto` what is worth it, from `level` 1 (fastest) to 9: then all bytes pass through this host.
        `progress` is called in another thread, a few times a second; what it raises ends the call, and nothing stays
        in the bucket.

        Raises FileNotFoundError where there is nothing to zip, TypeError where `files` has something else than pairs
        of `str` and `io.BytesIO`, ValueError for arguments that cannot be.
        """
        given = files_of(files or ())
        folder = prefix[: prefix.rfind("/") + 1]
        request = _valid(
            ArchiveRequest,
            sources=[_url(in_memory.BUCKET, "*") if given else _url(bucket_name, f"{prefix}*")],
            destination=_url(bucket_name, f"{folder}{zip_name}.zip"),
            if_exists="replace",
            compression=compression,
            level=level,
            **boto3_arguments.as_fields(extra_args or {}),
        )
        try:
            return _with_home(partial(self._write, request, given, progress or _nobody))
        except NothingToZip as error:
            raise FileNotFoundError(f"there is nothing to zip: {error}") from error

    async def _read(self, request: ZipRequest, tell: Tell, home: Path) -> list[NamedFile]:
        async with self._machine(home) as machine:
            own = machine.own
            crcs = Discovery(own.crc_memory, None, most_copied_bytes=0)  # all of it is read here anyway
            try:
                builder = await Planner(request, own.catalog, crcs).plan()
            except NothingToZip:
                return []
            opened = await own.archives.get(await asyncio.to_thread(machine.manifests.write, builder))
            whole = Progress(sum(builder.sizes), sum(builder.sizes), len(builder), len(builder))
            seldom = _Seldom(tell)
            sink = Files(
                opened.layout.manifest, lambda read, entries: seldom(whole._replace(bytes=read, entries=entries))
            )
            with opened.reading() as pump:
                await pump.run(sink)
            tell(whole)
            return sink.files

    async def _write(self, request: ArchiveRequest, files: list[File], tell: Tell, home: Path) -> Zipped:
        open_own = partial(open_account_of_files, files) if files else open_account
        async with self._machine(home, open_own) as machine:
            job, _ = await machine.jobs.create(request, OWNER)
            async with machine.runner.running(home):
                try:
                    job = await watched(machine, job, lambda job: tell(_progress(job)))
                except BaseException:
                    if not await abandon(machine, job):
                        _log.warning("%s: %s", _destination(job), LEFT_BEHIND)
                    raise
            return _zipped(await end_of(machine, job))

    @asynccontextmanager
    async def _machine(self, home: Path, open_own: OpenOwn = open_account) -> AsyncIterator[Machine]:
        settings = Settings(state_dir=home)
        if "job_patience_seconds" not in settings.model_fields_set:
            settings = settings.model_copy(update={"job_patience_seconds": PATIENCE_SECONDS})
        keeper = CredentialKeeper(self._find, self._whose)
        self._region = self._region or await default_region(keeper)
        whose = Identity(keeper=keeper, where=Where(self._region, self._endpoint))
        async with open_machine(settings, Metrics(), whose, open_own) as machine:
            machine.check_credentials()
            yield machine


class _Seldom:
    """Passes on what is told, but not more often than the progress of a job."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told_at = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._told_at >= LOOK_SECONDS:
            self._told_at = time.monotonic()
            self._tell(progress)


def _with_home(work: Callable[[Path], Coroutine[Any, Any, T]]) -> T:
    with tempfile.TemporaryDirectory(prefix="bucketzip-zip-", ignore_cleanup_errors=True) as home:
        return run_apart(work(Path(home)))


def _nobody(progress: Progress) -> None:
    """Who wants to know nothing."""


def _url(bucket: str, key: str) -> str:
    if "/" in bucket and not bucket.startswith("arn:"):
        raise ValueError(f"{bucket!r} is not a bucket's name")
    return f"s3://{bucket}/{key}"


def _valid(model: type[M], **fields: Any) -> M:
    """The request; raises ValueError that says what is wrong with it in the words of the call."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise ValueError("; ".join(map(_said, error.errors()))) from None


def _said(mistake: ErrorDetails) -> str:
    message, field = wording.mistake(mistake["msg"]), str(mistake["loc"][0]) if mistake["loc"] else ""
    if field in {"compression", "level"}:
        return f"{field}: {message}"
    argument = boto3_arguments.spelt(field)
    return f"extra_args: {argument}: {message}" if argument else message


def _progress(job: Job) -> Progress:
    done = job.copied_bytes_done + job.built_bytes_done
    return Progress(done, job.bytes, job.entries_done, job.entries)


def _zipped(end: End) -> Zipped:
    """What the job made; raises what it ended with."""
    job = end.job
    assert job is not None
    if job.state is not State.SUCCEEDED or job.result is None:
        error = recorded(job.error_code or "", job.error_detail or f"it was {job.state}")
        if end.left_behind:
            error.add_note(LEFT_BEHIND)
        raise error
    if end.left_behind:
        _log.warning("%s: %s", _destination(job), LEFT_BEHIND)
    made = json.loads(job.result)
    return Zipped(**{name: made[name] for name in Zipped._fields})


def _destination(job: Job) -> str:
    return f"s3://{job.bucket}/{job.key}"
