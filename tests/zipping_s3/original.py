"""What `s3-simple-compress` does, by the Python of its own environment: `... ENDPOINT KEY SECRET < calls > results`.

A line of calls is a JSON list of (method, arguments), of an object of its own; a list of files has their names and
contents, in base64. A result is what the call returned, written in the same way, or the name of what it raised.
"""

import base64
import contextlib
import io
import json
import sys
import zipfile
from typing import Any

from s3_compress.zipping_s3 import ZippingS3


def _call(zips3: Any, method: str, arguments: dict[str, Any]) -> Any:
    if "files" in arguments:
        arguments["files"] = [(name, io.BytesIO(base64.b64decode(data))) for name, data in arguments["files"]]
        if arguments.pop("lazily", False):
            arguments["files"] = iter(arguments["files"])
    # A ZIP without Zip64 has 65,535 entries at most; to make more than that takes some seconds.
    vars(zipfile)["ZIP_FILECOUNT_LIMIT"] = arguments.pop("most_entries", 65_535)
    try:
        returned = getattr(zips3, method)(**arguments)
    except Exception as error:  # noqa: BLE001  -- whichever it is, it is the result
        return {"raised": type(error).__name__}
    return returned and [(name, base64.b64encode(file.getvalue()).decode()) for name, file in returned]


def _main(endpoint: str, access_key: str, secret_key: str) -> None:
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            zips3 = ZippingS3()
            zips3.credentials(access_key, secret_key, url=endpoint)
            results = [_call(zips3, method, arguments) for method, arguments in json.loads(line)]
            print(json.dumps(results), file=out, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
