"""How a receiver knows that a callback comes from here, is whole, and is not an old one sent again."""

import hashlib
import hmac

from bucketzip.state.instance_key import InstanceKey


def callback_secret(key: InstanceKey, owner: str) -> str:
    """What the callbacks of one owner are signed with, as 64 hex digits. It is derived, so it is kept nowhere."""
    return key.derive(f"callbacks {owner}").hex()


def signature(secret: str, at: int, body: bytes) -> str:
    """The header `Bucketzip-Signature` for a body that is sent at a time, in seconds since 1970."""
    digest = hmac.new(secret.encode(), b"%d." % at + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
