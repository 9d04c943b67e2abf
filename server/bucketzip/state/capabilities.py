"""Capabilities: who holds one may download. They are derived from what they are for, so only their hashes are kept.

Whoever has the key of the instance can make them again, and show a link to its owner once more. To everybody else they
are 128 random bits.
"""

import base64
import hashlib
import secrets

from bucketzip.state.instance_key import InstanceKey

CAPABILITY_BYTES = 16


class Capabilities:
    """Makes those of one instance."""

    def __init__(self, key: InstanceKey) -> None:
        self._key = key

    def of_download(self, link_id: str) -> str:
        """What stands in a download's URL."""
        return self._derived("download", link_id)

    def of_result(self, job_id: str) -> str:
        """What stands in the URL of what a job made."""
        return self._derived("result", job_id)

    def _derived(self, kind: str, what: str) -> str:
        made = self._key.derive(f"{kind} {what}", CAPABILITY_BYTES)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def new_id() -> str:
    """128 random bits, by which a link or a job is known. It gives nobody anything."""
    return secrets.token_hex(16)


def hash_capability(capability: str) -> bytes:
    """What is kept of a capability."""
    return hashlib.sha256(capability.encode()).digest()
