"""A certificate authority for one run, and a certificate for loopback."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: the chain, its key, and the authority a client must trust."""

    chain: Path
    key: Path
    authority: Path


def make_certificate(directory: Path) -> Certificate:
    """For 127.0.0.1, and for localhost because nginx as a client can verify no address, only a name."""
    directory.mkdir(parents=True)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = Certificate(directory / "chain.pem", directory / "key.pem", directory / "authority.pem")
    issued.private_key_pem.write_to_path(files.key)
    for index, blob in enumerate(issued.cert_chain_pems):
        blob.write_to_path(files.chain, append=index > 0)
    authority.cert_pem.write_to_path(files.authority)
    return files
