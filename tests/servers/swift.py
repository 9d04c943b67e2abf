"""Swift with its s3api: a store of other making than AWS's, strict with signatures and regions, without checksums.

Four processes, one each for accounts, containers, objects, and the proxy that clients talk to.
"""

import errno
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bucketzip.embedded import HOST
from tests.servers.processes import ServerFailed, free_port, installed, started
from tests.servers.s3_server import RunningServer

STORES = ("account", "container", "object")
RINGS = Path(__file__).with_name("swift_rings.py")
DEVICE = "d1"
XATTR = "user.swift.metadata"

HASHES = """\
[swift-hash]
swift_hash_path_prefix = test
swift_hash_path_suffix = test
[storage-policy:0]
name = one
default = yes
"""
DEFAULTS = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
swift_dir = {home}
user = {user}
workers = 0
"""
STORE = """\
devices = {devices}
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = healthcheck {store}-server
[app:{store}-server]
use = egg:swift#{store}
[filter:healthcheck]
use = egg:swift#healthcheck
"""
PROXY = """\
[pipeline:main]
pipeline = catch_errors healthcheck cache listing_formats s3api tempauth
    copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""


@contextmanager
def running_swift(home: Path) -> Iterator[RunningServer]:
    """Run Swift with its configuration and logs in `home`; the objects go when it ends."""
    environment = installed("swift")
    ports = {name: free_port() for name in (*STORES, "proxy")}
    rings = [f"{home}/{store}.ring.gz={HOST}:{ports[store]}/{DEVICE}" for store in STORES]
    with ExitStack() as cleanup:
        devices = cleanup.enter_context(directory_with_xattrs(home, environment))
        (devices / DEVICE).mkdir()
        (home / "swift.conf").write_text(HASHES)
        # Isolated, or `import swift` would find this file, which is beside that script.
        subprocess.run([environment / "bin/python", "-I", RINGS, *rings], check=True)
        user = pwd.getpwuid(os.geteuid()).pw_name
        processes = []
        for name, port in ports.items():
            body = PROXY if name == "proxy" else STORE.format(store=name, devices=devices)
            config = home / f"{name}-server.conf"
            config.write_text(DEFAULTS.format(host=HOST, port=port, home=home, user=user) + body)
            program = environment / f"bin/swift-{name}-server"
            processes.append(cleanup.enter_context(started(program, str(config), "-v", home=home, port=port)))
        for process in processes:
            process.wait_until("/healthcheck")
        endpoint_url = f"http://{HOST}:{ports['proxy']}"
        yield RunningServer(endpoint_url=endpoint_url, access_key="test:tester", secret_key="testing")


@contextmanager
def directory_with_xattrs(*parents: Path) -> Iterator[Path]:
    """Make a directory below the first parent whose file system keeps user attributes; a tmpfs may not."""
    for parent in parents:
        with tempfile.TemporaryDirectory(dir=parent, prefix="objects-") as made:
            try:
                os.setxattr(made, XATTR, b"tried")
            except OSError as error:
                if error.errno != errno.ENOTSUP:
                    raise
                continue
            yield Path(made)
            return
    raise ServerFailed(f"Swift needs a file system with user attributes, and none of these has them: {parents}")
