"""Schemathesis holds the running server to its description: hundreds of requests, good ones and bad ones."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.description import description
from tests.faults.lying_s3 import LyingS3
from tests.faults.sts import STS
from tests.identities import Keys
from tests.web.asking import user_of
from tests.web.serving import serving, stub_environment

ROOT = Path(__file__).parents[2]
REAL = """
[[operations]]
include-operation-id = ["download", "manifest"]
parameters = {{ capability = "{capability}" }}
checks.positive_data_acceptance.expected-statuses = ["2xx", 304, 410, 412, 416]  # it may have been revoked

[[operations]]
include-operation-id = ["createArchive", "resumeArchive", "listArchives"]
phases.coverage.enabled = false  # 800 requests, mostly of what createDownload and listDownloads take, too

[[operations]]
include-operation-id = ["tokenV2"]
phases.coverage.enabled = false  # each wrong secret takes its time, and there are enough of beginSession

[[operations]]
include-operation-id = [
    "zipStartV1", "s3Zip", "streamZipV1", "streamZipV2", "zipStateV1", "status", "zipResultV1", "zipResultV2", "tokenV1"
]
phases.coverage.enabled = false  # they take what zipStartV2, zipStateV2 and tokenV2 do
phases.fuzzing.enabled = false

[[operations]]
include-operation-id = ["zipStartV2"]
phases.coverage.enabled = false  # 300 requests
phases.fuzzing.generation.max-examples = 10

[[operations]]
include-operation-id = ["zipStartV1", "zipStartV2", "s3Zip", "streamZipV1", "streamZipV2"]
generation.mode = "positive"  # they take whatever has a meaning
# No schema says that keys come in pairs, and that a path begins with a bucket's name unless there is `awsBucket`.
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 403, 404]

[[operations]]
include-operation-id = ["listObjects", "countObjects"]
parameters = {{ bucket = "stub" }}
# No schema says which cursors were given out, and a bucket by another name is none.
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 403, 404]

[[operations]]
include-operation-id = ["countObjects"]
phases.coverage.enabled = false  # its parameters are those of listObjects

[[operations]]
include-operation-id = ["showDownload"]
parameters = {{ id = "{id}" }}
"""


IN_DOWNLOADS_AND_BUCKETS = ("--include-tag", "Downloads", "--include-tag", "Buckets")


def as_set_up_here() -> dict[str, Any]:
    """The description, but for what it says that only other settings allow."""
    described = description()
    del described["components"]["schemas"]["KeyCredentials"]["properties"]["endpoint"]
    return described


@pytest.mark.parametrize(
    "which",  # in parts, for the time that a test may take
    [
        pytest.param(["--include-operation-id", "createDownload"], id="createDownload"),
        pytest.param([*IN_DOWNLOADS_AND_BUCKETS, "--exclude-operation-id", "createDownload"], id="Downloads, Buckets"),
        pytest.param(["--exclude-tag", "Downloads", "--exclude-tag", "Buckets"], id="the rest"),
    ],
)
async def test_it_finds_nothing(
    which: list[str], stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("a", b"1")
    async with (
        STS("stub", roles={}, give=lambda: Keys("", "")) as sts,
        serving(
            {**stub_environment(stub.endpoint_url), "AWS_ENDPOINT_URL_STS": sts.endpoint_url},
            tmp_path / "state",
            monkeypatch,
            trusted_cidrs="",  # nobody gets in but by a token
            s3_tries=1,
            scratch="off",
            smtp_host="127.0.0.1",
            smtp_port=1,
            mail_from="zip@example.com",
            public_url="http://127.0.0.1:1",
        ) as server,
    ):
        _, _, ask = await user_of(server)
        link = (await ask("POST", "/downloads", {"sources": ["s3://stub/"]})).json
        capability = link["url"].split("/")[4]
        (tmp_path / "openapi.json").write_text(json.dumps(as_set_up_here()))
        (tmp_path / "schemathesis.toml").write_text(REAL.format(capability=capability, id=link["id"]))
        running = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "schemathesis",
            *("run", "openapi.json", *which, "--url", server.base, "--seed", "1", "--max-examples", "2"),
            *("--header", f"Authorization: {ask.headers['Authorization']}"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--generation-database", "none"),
            *("--warnings", "off", "--suppress-health-check", "all", "--request-timeout", "30"),
            cwd=tmp_path,
            env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(ROOT / ".hypothesis")},  # Unicode's tables: 3 s
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await running.communicate()
        assert running.returncode == 0, output.decode()
        assert {answer.status for answer in server.answers} > {201, 405}, "it got through to what is there"
