"""The class `ZippingS3` of PyPI's `s3-simple-compress`, by the Python that has it: `... BUCKET PREFIX ZIP_NAME`.

What it does with a prefix, in two calls instead of one, since only so the archive lies elsewhere than what is zipped.
Its connections are made anew once, as `credentials` does it, to count what goes over them. At its end it tells as JSON
what it took; its interpreter and imports are in the peak alone.
"""

import json
import os
import resource
import sys
import time

from s3_compress.zipping_s3 import ZippingS3

from bench.meter import peak_memory_bytes

#: It holds all in memory, and this machine has other things to do.
MOST_MEMORY_BYTES = 8 << 30


def _main(bucket: str, prefix: str, zip_name: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    zips3 = ZippingS3()
    zips3.credentials(url=os.environ["AWS_ENDPOINT_URL_S3"])
    sent: list[str] = []
    for client in (zips3.__s3_client__, zips3.__s3_resource__.meta.client):
        client.meta.events.register("before-send.s3", lambda event_name, **_: sent.append(event_name))
    began, cpu_began = time.perf_counter(), time.process_time()
    zips3.zipping_in_s3(bucket, "archives/", zip_name, files=zips3.s3_download_in_memory(bucket, prefix))
    told = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
        "peak_bytes": peak_memory_bytes(os.getpid()),
        "requests": len(sent),
    }
    print(f"\n{json.dumps(told)}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
