"""A client of version 2 in Python: JSON, ids under other names than they came by, and an empty one for the mail.

Usage: version2.py BASE OUT, with USER_KEY, USER_SECRET, AWS_KEY, AWS_SECRET and BUCKET in the environment.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import requests

BASE, OUT = sys.argv[1:]
SECONDS = 30
RUNNING = {"PENDING", "RECEIVED", "STARTED", "RETRY"}


def main() -> None:
    """Write an archive without the folders of its objects, then download one."""
    login = {"userKey": os.environ["USER_KEY"], "userSecret": os.environ["USER_SECRET"]}
    token = call("/tokenv2", {}, login)["token"]
    headers = {"Authorization": f"Bearer {token}", "x-amz-acl": "bucket-owner-full-control"}
    bucket = os.environ["BUCKET"]
    fields = {
        "awsKey": os.environ["AWS_KEY"],
        "awsSecret": os.environ["AWS_SECRET"],
        "awsToken": "",
        "awsBucket": bucket,
        "awsRegion": "us-east-1",
        "awsEndpoint": "",
        "filePaths": [f"{bucket}/docs/deep/b c.txt", f"{bucket}/docs/a.txt", f"{bucket}/other.txt"],
        "fileMapper": f"{bucket}/maps/version2.json",
        "zipTo": "out/version2.zip",
        "usePresignUrl": "false",
    }
    task_id = call("/v2/zipstart", headers, fields)["taskUUID"][0]["streams3v2"]
    renamed = {"chainTaskUUID": [{"streams3": task_id}, {"email": ""}]}
    while (state := call("/v2/zipstate", headers, renamed))["State"] in RUNNING:
        time.sleep(0.05)
    assert (state["State"], state["TaskUUID"], state["TaskName"]) == ("SUCCESS", task_id, "streams3"), state["Error"]
    print(state["Results"][0]["Value"])
    task_id = call("/v2/streamzip", headers, fields)["taskUUID"][0]["idurl"]
    made_up = {"message": "STARTED", "size": "0 B", "taskUUID": [{"idurl": task_id}]}
    link = call("/v2/zipresult", headers, made_up)["results"][0]
    print(link)
    Path(OUT).write_bytes(requests.get(link, timeout=SECONDS).content)


def call(path: str, headers: dict[str, str], document: dict[str, Any]) -> Any:
    """POST, and read the answer."""
    answer = requests.post(BASE + path, json=document, headers=headers, timeout=SECONDS)
    answer.raise_for_status()
    return answer.json()


if __name__ == "__main__":
    main()
