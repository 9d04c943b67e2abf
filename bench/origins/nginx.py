"""nginx over a static tree: the least an origin can cost, so what is left is the contender's own time.

Path-style GETs with Range and If-Match are plain file requests to it. It checks no signature and cannot list, so
ListObjectsV2 is answered with pages made beforehand (listing.py); whatever those cannot answer is refused aloud.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.certificates import Certificate
from bench.cores import SURROUNDINGS
from bench.corpus import Corpus
from bench.datasets import BUCKET
from bench.listing import LISTINGS
from bench.nginx_process import nginx
from bench.origins.base import Origin
from bench.processes import free_port

# nginx has no $arg_ for names with a hyphen, hence the maps over the whole query.
_HTTP = """
  map $args $prefix {{
    "~(?:^|&)prefix=(?<wanted>[a-z]+)(?:%2F|/)(?:&|$)" $wanted;
    default "none";
  }}
  map $args $token {{
    "~(?:^|&)continuation-token=(?<page>[0-9]+)(?:&|$)" $page;
    "~(?:^|&)start-after=." "none";
    default "0";
  }}
  map $args $answer {{
    "" "exists";
    "~(?:^|&)list-type=2(?:&|$)" "/{listings}/$prefix/$token.xml";
    "~(?:^|&)versions(?:=|&|$)" "denied";
    default "unknown";
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024{ssl};
    {certificate}
    root {root};
    open_file_cache max=4096 inactive=600s;
    open_file_cache_valid 600s;
    location ~ ^/{bucket}/?$ {{
      default_type application/xml;
      add_header x-amz-bucket-region us-east-1 always;
      if ($answer = "exists") {{ return 200; }}
      if ($answer = "denied") {{ return 403 "<Error><Code>AccessDenied</Code><Message>no versions</Message></Error>"; }}
      try_files $answer @unknown;
    }}
    location @unknown {{
      default_type application/xml;
      return 501 "<Error><Code>NotImplemented</Code><Message>whole flat prefixes only</Message></Error>";
    }}
    location /{listings}/ {{ deny all; }}
  }}
"""


@contextmanager
def nginx_origin(directory: Path, corpus: Corpus, certificate: Certificate | None = None) -> Iterator[Origin]:
    """The origin, serving whatever datasets the corpus has or gets."""
    port = free_port()
    pair = f"ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};" if certificate else ""
    http = _HTTP.format(
        port=port,
        ssl=" ssl" if certificate else "",
        certificate=pair,
        root=corpus.root,
        bucket=BUCKET,
        listings=LISTINGS,
    )
    scheme = "https" if certificate else "http"
    with nginx(directory, http, port=port, cores=SURROUNDINGS) as process:
        yield Origin(
            name="nginx static",
            endpoint=f"{scheme}://127.0.0.1:{port}",
            pid=process.pid,
            access_key="benchkey",
            secret_key="benchsecret",  # noqa: S106  # nobody checks it
            authority=certificate.authority if certificate else None,
        )
