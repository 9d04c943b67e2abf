"""One bucket, asked by `bucketzip doctor`: each call by itself, so that each permission is seen by itself."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from bucketzip.archive.manifest import Source
from bucketzip.doctor.ports import AbortRule, Answered, Reached, Unfinished
from bucketzip.errors import NoSuchObject, S3Unreachable
from bucketzip.plan.catalog import Listed
from bucketzip.s3.client import S3, refuse_unsupported, tls_context
from bucketzip.s3.errors import EXPIRED_CODES, crossing
from bucketzip.s3.heads import head_object
from bucketzip.s3.pages import Folder, read_page
from bucketzip.s3.probe import Prober

CONNECT_SECONDS = 5.0
_NONE_CONFIGURED = frozenset({"NoSuchLifecycleConfiguration", "ServerSideEncryptionConfigurationNotFoundError"})
_AGAINST_KEYS = EXPIRED_CODES | {"InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}
_NOT_FOUND = 404
_DEFAULT_PORTS = {"http": 80, "https": 443}


class S3Bucket:
    """Implements `doctor.ports.Bucket`."""

    def __init__(self, s3: S3, name: str, prober: Prober) -> None:
        refuse_unsupported(name)
        self.name = name
        self._s3 = s3
        self._prober = prober

    async def head(self) -> Answered:
        """By the port."""
        with crossing(f"s3://{self.name}"):
            answer = await _metadata(self._s3.client.head_bucket(Bucket=self.name))
        return Answered(answer["HTTPStatusCode"] != _NOT_FOUND, answer["HTTPHeaders"].get("x-amz-bucket-region", ""))

    async def host(self) -> str:
        """By the port."""
        return (await self._s3.route(self.name)).host

    async def first(self, prefix: str) -> Sequence[Listed]:
        """By the port."""
        with crossing(f"s3://{self.name}/{prefix}", allow="s3:ListBucket on the bucket"):
            return (await read_page(self._s3, Folder(self.name, prefix), {})).objects

    async def get(self, listed: Listed) -> None:
        """By the port."""
        with crossing(self._url(listed.key), allow="s3:GetObject on it"):
            answer = await self._s3.client.get_object(Bucket=self.name, Key=listed.key, Range="bytes=0-0")
            async with answer["Body"] as body:
                await body.read()

    async def key_of(self, listed: Listed) -> str:
        """By the port."""
        return (await head_object(self._s3, self.name, listed.key)).get("SSEKMSKeyId", "")

    async def keeps_versions(self) -> bool:
        """By the port."""
        with crossing(self._url(), allow="s3:GetBucketVersioning on the bucket"):
            return bool((await self._s3.client.get_bucket_versioning(Bucket=self.name)).get("Status"))

    async def list_versions(self, prefix: str) -> None:
        """By the port."""
        with crossing(self._url(prefix), allow="s3:ListBucketVersions on the bucket"):
            await self._s3.client.list_object_versions(Bucket=self.name, Prefix=prefix, MaxKeys=1)

    async def attributes(self, listed: Listed) -> None:
        """By the port."""
        with crossing(self._url(listed.key), allow="s3:GetObjectAttributes on it"):
            await self._s3.client.get_object_attributes(
                Bucket=self.name, Key=listed.key, ObjectAttributes=["ObjectSize"]
            )

    async def default_key(self) -> str | None:
        """By the port."""
        answer = await self._configured("get_bucket_encryption", "s3:GetEncryptionConfiguration")
        for rule in answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", []):
            default = rule.get("ApplyServerSideEncryptionByDefault", {})
            if default.get("SSEAlgorithm", "").startswith("aws:kms"):
                return str(default.get("KMSMasterKeyID") or "aws/s3")
        return None

    async def abort_rules(self) -> Sequence[AbortRule]:
        """By the port."""
        answer = await self._configured("get_bucket_lifecycle_configuration", "s3:GetLifecycleConfiguration")
        rules = (rule for rule in answer.get("Rules", []) if rule.get("Status") == "Enabled")
        return [
            AbortRule(_prefix(rule), rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
            for rule in rules
            if "AbortIncompleteMultipartUpload" in rule
        ]

    async def unfinished(self, prefix: str) -> AsyncIterator[Unfinished]:
        """By the port."""
        pages = self._s3.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name, Prefix=prefix)
        with crossing(self._url(prefix), allow="s3:ListBucketMultipartUploads on the bucket"):
            async for page in pages:
                for upload in page.get("Uploads", []):
                    if "Initiated" in upload:
                        yield Unfinished(upload["Key"], upload["UploadId"], upload["Initiated"])

    async def unfinished_bytes(self, upload: Unfinished) -> int:
        """By the port."""
        answer = await self._parts(upload.key, upload.upload_id)
        return sum(part["Size"] for part in answer.get("Parts", []))

    async def exists(self, key: str) -> bool:
        """By the port."""
        try:
            await head_object(self._s3, self.name, key)
        except NoSuchObject:
            return False
        return True

    async def begin(self, key: str) -> str:
        """By the port."""
        with crossing(self._url(key), allow="s3:PutObject on it"):
            return (await self._s3.client.create_multipart_upload(Bucket=self.name, Key=key))["UploadId"]

    async def put_part(self, key: str, upload_id: str) -> None:
        """By the port."""
        with crossing(self._url(key), allow="s3:PutObject on it"):
            await self._s3.client.upload_part(Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=1, Body=b"x")

    async def list_parts(self, key: str, upload_id: str) -> None:
        """By the port."""
        await self._parts(key, upload_id)

    async def abort(self, key: str, upload_id: str) -> None:
        """By the port."""
        with crossing(self._url(key), allow="s3:AbortMultipartUpload on it"):
            await self._s3.client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)

    async def why_not_copied(self, sample: Listed, into: str) -> str:
        """By the port."""
        source = Source(self.name, sample.key, sample.etag, sample.version_id)
        return (await self._prober.verdict(source, sample.size, into=into)).reason

    async def _parts(self, key: str, upload_id: str) -> Any:
        with crossing(self._url(key), allow="s3:ListMultipartUploadParts on it"):
            return await self._s3.client.list_parts(Bucket=self.name, Key=key, UploadId=upload_id)

    async def _configured(self, call: str, action: str) -> Any:
        """What is configured of the bucket; nothing where nothing is."""
        with crossing(self._url(), allow=f"{action} on the bucket"):
            try:
                return await getattr(self._s3.client, call)(Bucket=self.name)
            except ClientError as error:
                if error.response["Error"].get("Code") in _NONE_CONFIGURED:
                    return {}
                raise

    def _url(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}"


class S3Endpoint:
    """Implements `doctor.ports.Endpoint`."""

    def __init__(self, s3: S3) -> None:
        self._s3 = s3
        self.url = str(s3.client.meta.endpoint_url)
        self.is_aws = not s3.custom_endpoint
        # AWS is told nothing of keys that are another S3's.
        self.has_sts = self.is_aws or "AWS_ENDPOINT_URL_STS" in os.environ

    async def reach(self) -> Reached:
        """By the port."""
        url = urlsplit(self.url)
        host, port = url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]
        tls = await asyncio.to_thread(tls_context) if url.scheme == "https" else None
        addresses = await self.addresses(host)
        began = time.monotonic()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(host, port, ssl=tls)
        except TimeoutError as error:
            raise S3Unreachable(
                f"{self.url}: no connection within {CONNECT_SECONDS:g} s ({', '.join(addresses)} port {port}): is there"
                " a way out of this network, and does the security group let it?"
            ) from error
        except ssl.SSLError as error:
            raise S3Unreachable(
                f"{self.url}: {error}; AWS_CA_BUNDLE names a file of authorities that are trusted"
            ) from error
        except OSError as error:
            where = f"{', '.join(addresses)} port {port}"
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise S3Unreachable(f"{self.url}: no connection to {where}: {reason}") from error
        seconds = time.monotonic() - began
        writer.transport.abort()
        return Reached(addresses, seconds)

    async def addresses(self, host: str) -> Sequence[str]:
        """By the port."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
        except OSError as error:
            raise S3Unreachable(
                f"{host}: its name is not known here ({error}): see the region, and this machine's DNS"
            ) from error
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    async def date(self) -> float | None:
        """By the port."""
        with crossing(self.url):
            answer = await _metadata(self._s3.client.list_buckets())
        date = answer["HTTPHeaders"].get("date")
        return parsedate_to_datetime(date).timestamp() if date else None

    async def sign(self) -> None:
        """By the port."""
        with crossing(self.url, allow="s3:ListAllMyBuckets"):
            try:
                await self._s3.client.list_buckets()
            except ClientError as error:
                if error.response["Error"].get("Code") in _AGAINST_KEYS:
                    raise


async def _metadata(call: Awaitable[Any]) -> Any:
    """That of the answer, whatever it is."""
    try:
        return (await call)["ResponseMetadata"]
    except ClientError as error:
        return error.response["ResponseMetadata"]


def _prefix(rule: Any) -> str:
    """What keys a lifecycle rule is for; by tags it is for no upload that can be known here."""
    chosen = rule.get("Filter", {})
    return str(chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or rule.get("Prefix") or "")
