"""Schemathesis holds the running server to its description: hundreds of requests, good ones and bad ones."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.faults.lying_s3 import LyingS3
from tests.web.serving import serving, stub_environment

DESCRIPTION = Path(__file__).parents[2] / "server/bucketzip/web/openapi.yaml"
REAL = """
[[operations]]
include-operation-id = ["download", "manifest"]
parameters = {{ capability = "{capability}" }}
checks.positive_data_acceptance.expected-statuses = ["2xx", 304, 410, 412, 416]  # it may have been revoked

[[operations]]
include-operation-id = ["createArchive"]
phases.coverage.enabled = false  # 580 requests, mostly of fields that createDownload has, too

[[operations]]
include-operation-id = ["showDownload"]
parameters = {{ id = "{id}" }}
"""


@pytest.mark.parametrize(
    "which",  # in parts, for the time that a test may take
    [
        pytest.param(["--include-operation-id", "createDownload"], id="createDownload"),
        pytest.param(["--include-tag", "Downloads", "--exclude-operation-id", "createDownload"], id="Downloads"),
        pytest.param(["--exclude-tag", "Downloads"], id="the rest"),
    ],
)
async def test_it_finds_nothing(
    which: list[str], stub: LyingS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.objects.put("a", b"1")
    async with serving(
        stub_environment(stub.endpoint_url), tmp_path / "state", monkeypatch, s3_tries=1, scratch="off"
    ) as server:
        _, link = await server.ask("s3://stub/")
        capability = link["url"].split("/")[4]
        (tmp_path / "schemathesis.toml").write_text(REAL.format(capability=capability, id=link["id"]))
        running = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "schemathesis",
            *("run", str(DESCRIPTION), *which, "--url", server.base, "--seed", "1", "--max-examples", "2"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--generation-database", "none"),
            *("--warnings", "off", "--suppress-health-check", "all", "--request-timeout", "30"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await running.communicate()
        assert running.returncode == 0, output.decode()
        assert {answer.status for answer in server.answers} > {201, 405}, "it got through to what is there"
