"""`make ami`: the image on AWS, by the Packer and with the credentials of whoever runs it; prints the AMI's id.

ami.py amd64|arm64 REGION [more arguments for packer build]
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "build/image/packer-manifest.json"


def main(architecture: str, region: str, *more: str) -> None:
    """Build it."""
    if shutil.which("packer") is None:
        raise SystemExit(
            "Packer is missing: https://developer.hashicorp.com/packer/install, or Debian's package `packer`"
        )
    try:
        caller = boto3.client("sts", region_name=region).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(
            f"AWS takes no credentials from here: {error}\n"
            "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: docs/launch.md says for what."
        ) from error
    print(f"building for {architecture} in {region}, account {caller['Account']}", flush=True)
    version = re.search(r'__version__ = "(.*)"', (ROOT / "server/bucketzip/__init__.py").read_text())
    if plugins_needed():
        packer("init", str(ROOT / "packer/plugins"))
    variables = {"version": version[1] if version else "", "architecture": architecture, "region": region}
    given = [f"-var={name}={value}" for name, value in {**variables, "python": sys.executable}.items()]
    packer("build", *given, f"-var=manifest={MANIFEST}", *more, str(ROOT / "packer"))
    manifest = json.loads(MANIFEST.read_text())
    print(next(b["artifact_id"] for b in manifest["builds"] if b["packer_run_uuid"] == manifest["last_run_uuid"]))


def plugins_needed() -> bool:
    """Whether this Packer has them apart: from 1.7 on."""
    said = subprocess.run(["packer", "version"], check=True, capture_output=True, text=True).stdout  # noqa: S607  -- the one on the PATH, as documented
    found = re.search(r"v(\d+)\.(\d+)", said)
    return found is None or (int(found[1]), int(found[2])) >= (1, 7)


def packer(*arguments: str) -> None:
    """Run it; what it says is for whoever looks on."""
    if status := subprocess.run(["packer", *arguments], check=False).returncode:  # noqa: S607  -- the one on the PATH, as documented
        raise SystemExit(status)


if __name__ == "__main__":
    if len(sys.argv) < 3:  # noqa: PLR2004  -- an architecture and a region
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
