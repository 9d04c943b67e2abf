"""A client in Python: forms with repeated fields, and each answer sent back as it came.

Usage: forms.py BASE OUT, with USER_KEY, USER_SECRET, AWS_KEY, AWS_SECRET and BUCKET in the environment.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import requests

BASE, OUT = sys.argv[1:]
SECONDS = 30


def main() -> None:
    """Write an archive, then download one."""
    login = {"userKey": os.environ["USER_KEY"], "userSecret": os.environ["USER_SECRET"]}
    token = requests.post(f"{BASE}/gentoken", data=login, timeout=SECONDS).json()["token"]
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    bucket = os.environ["BUCKET"]
    payload = {
        "awsKey": os.environ["AWS_KEY"],
        "awsSecret": os.environ["AWS_SECRET"],
        "awsBucket": bucket,
        "awsRegion": "us-east-1",
        "filePaths": [f"{bucket}/docs", f"{bucket}/other.txt"],
        "zipTo": "out/forms.zip",
        "expireLink": 24,
    }
    print(zipped(session, payload))
    link = streamed(session, payload)
    print(link)
    Path(OUT).write_bytes(requests.get(link, timeout=SECONDS).content)


def zipped(session: requests.Session, payload: dict[str, Any]) -> str:
    """The link of the archive in the bucket."""
    started = session.post(f"{BASE}/v1/zipstart", data=payload, timeout=SECONDS).json()
    assert started["message"] == "STARTED"
    while True:
        state = session.post(f"{BASE}/v1/zipstate", json=started, timeout=SECONDS).json()
        if state["State"] in {"SUCCESS", "FAILURE"}:
            break
        time.sleep(0.05)
    assert state["State"] == "SUCCESS", state["Error"]
    finished = session.post(f"{BASE}/v1/zipresult", json=started, timeout=SECONDS).json()
    assert finished["results"][0] == state["Results"][0]["Value"]
    return str(finished["results"][0])


def streamed(session: requests.Session, payload: dict[str, Any]) -> str:
    """The link of an archive to download."""
    started = session.post(f"{BASE}/v1/streamzip", data=payload, timeout=SECONDS).json()
    return str(session.post(f"{BASE}/v1/zipresult", json=started, timeout=SECONDS).json()["results"][0])


if __name__ == "__main__":
    main()
