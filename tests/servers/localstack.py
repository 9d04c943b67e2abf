"""LocalStack: the reference for checksums and UploadPartCopy. It does not look at signatures.

The versions in localstack.in are pinned because newer ones of what it needs have lost what it uses. It takes http and
https on one port, keeps everything in memory, and answers each request with `Connection: close`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bucketzip.embedded import HOST
from tests.servers.processes import free_port, installed, started
from tests.servers.s3_server import RunningServer

MAIN = Path(__file__).with_name("localstack_main.py")


@contextmanager
def running_localstack(home: Path) -> Iterator[RunningServer]:
    environment = installed("localstack")
    port = free_port()
    # What it would write to /var/lib and /etc goes below `home`, where it also finds the index of AWS's services that
    # was made when it was installed.
    static_libs = home / "usr/lib/localstack"
    static_libs.parent.mkdir(parents=True)
    static_libs.symlink_to(environment / "usr/lib/localstack")
    variables = {
        "FILESYSTEM_ROOT": str(home),
        "OVERRIDE_IN_DOCKER": "0",  # in a container it would take that for its own, and write to / again
        "GATEWAY_SERVER": "hypercorn",  # the default server lacks a dependency
        "GATEWAY_LISTEN": f"{HOST}:{port}",
        "SERVICES": "s3",
        "EAGER_SERVICE_LOADING": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",  # telemetry
        "DNS_ADDRESS": "0",
    }
    # Isolated, or `import localstack` would find this file, which is beside that script.
    arguments = ["-I", str(MAIN), str(home / "objects")]
    with started(environment / "bin/python", *arguments, home=home, port=port, environment=variables) as process:
        process.wait_until("/_localstack/health")
        yield RunningServer(endpoint_url=f"http://{HOST}:{port}", access_key="test", secret_key="test")
