"""One nginx of our own: one worker, everything it writes in a directory of the run, stopped by its id."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import UnavailableError, running, wait_until_ready

_CONFIGURATION = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid nginx.pid;
error_log stderr warn;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 75s;
  keepalive_requests 1000000;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
{http}
}}
"""


def _program() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise UnavailableError("nginx is not installed (Debian: nginx-light)")
    return found


@contextmanager
def nginx(directory: Path, http: str, *, port: int, cores: frozenset[int]) -> Iterator[subprocess.Popen[bytes]]:
    """The process, ready on `port`; `http` is the inside of its http block."""
    directory.mkdir(parents=True)
    # Started by root its worker would drop to nobody, who may not read the run's directory.
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    configuration = directory / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(user=user, http=http))
    log = directory / "log"
    command: list[str | Path] = [_program(), "-p", directory, "-e", "stderr", "-c", configuration]
    with running(command, cores=cores, log=log) as process:
        wait_until_ready(process, port, log)
        yield process
