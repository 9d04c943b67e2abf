"""The floor: nginx passing each object on, no ZIP, no CRC, no signature. Nothing that reads from S3 costs less."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contenders.base import Link, Server
from bench.cores import CONTENDER
from bench.datasets import BUCKET, Dataset
from bench.nginx_process import nginx
from bench.origins.base import Origin
from bench.origins.client import s3_client
from bench.processes import UnavailableError, free_port

# Host goes through as curl sent it: the URLs are signed for the proxy's own address.
_HTTP = """
  upstream origin {{ server {host}:{upstream_port}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {scheme}://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_buffers 16 256k;
      proxy_buffer_size 256k;
      proxy_busy_buffers_size 2m;
      proxy_max_temp_file_size 0;
      {verify}
    }}
  }}
"""
_VERIFY = "proxy_ssl_verify on; proxy_ssl_trusted_certificate {authority}; proxy_ssl_name localhost;"
_MOST_OBJECTS = 16
_URL_SECONDS = 3600


def _presigned(proxy: Origin, dataset: Dataset) -> Link:
    if len(dataset.sizes) > _MOST_OBJECTS:
        raise UnavailableError("one object a request: measured with large objects only")
    sign = s3_client(proxy).generate_presigned_url
    return Link(
        tuple(
            str(sign("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=_URL_SECONDS))
            for key, _ in dataset.objects()
        )
    )


class NginxProxy:
    """`proxy_pass`, one worker."""

    name = "nginx-proxy"
    makes_archives = False

    @contextmanager
    def serve(self, origin: Origin, work: Path, run: Path) -> Iterator[Server]:
        """Ready when its port listens."""
        port = free_port()
        host, upstream_port = origin.address
        verify = _VERIFY.format(authority=origin.authority) if origin.authority else ""
        scheme = "https" if origin.authority else "http"
        http = _HTTP.format(host=host, upstream_port=upstream_port, port=port, scheme=scheme, verify=verify)
        with nginx(run, http, port=port, cores=CONTENDER) as process:
            proxy = replace(origin, endpoint=f"http://127.0.0.1:{port}", authority=None)
            links: dict[str, Link] = {}  # signing is not the proxy's work: done in the warm-up, kept for the rounds

            def plan(dataset: Dataset) -> Link:
                if dataset.name not in links:
                    links[dataset.name] = _presigned(proxy, dataset)
                return links[dataset.name]

            yield Server(process.pid, plan)
