"""Secrets at rest: scrypt (RFC 7914), as a text that says with which parameters.

N = 2^14, r = 8, p = 1 are those that scrypt's author proposes for interactive logins ("Stronger key derivation via
sequential memory-hard functions", 2009): 16 MiB and some 50 ms each. More would buy nothing here, since secrets are
made by us and never chosen by people: 36 random characters are 214 bits.
"""

import base64
import hashlib
import hmac
import re
import secrets

LOG2_N, R, P = 14, 8, 1
SALT_BYTES = 16
DIGEST_BYTES = 32

_HASH = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([\w+/]+)\$([\w+/]+)", re.ASCII)


def hash_secret(secret: str) -> str:
    """What is kept of a secret, in PHC's string format. Blocks for some 50 ms, without the GIL."""
    salt = secrets.token_bytes(SALT_BYTES)
    return _text(salt, _digest(secret, salt, LOG2_N, R, P))


def hash_of_nothing() -> str:
    """Looks like the hash of a secret, costs as much to compare, and nothing matches it."""
    return _text(secrets.token_bytes(SALT_BYTES), secrets.token_bytes(DIGEST_BYTES))


def matches(secret: str, kept: str) -> bool:
    """Whether it is the secret that `kept` was made of, in a time that tells nothing. Blocks as `hash_secret` does."""
    found = _HASH.fullmatch(kept)
    if found is None:
        raise ValueError("this is not a hash that was made here")
    log2_n, r, p = (int(each) for each in found.groups()[:3])
    return hmac.compare_digest(_digest(secret, _decoded(found[4]), log2_n, r, p), _decoded(found[5]))


def _digest(secret: str, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    n = 1 << log2_n
    needed_bytes = 128 * r * (n + p + 2)
    text = secret.encode(errors="surrogatepass")  # whatever a client sends is compared
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=needed_bytes, dklen=DIGEST_BYTES)


def _text(salt: bytes, digest: bytes) -> str:
    return f"$scrypt$ln={LOG2_N},r={R},p={P}${_encoded(salt)}${_encoded(digest)}"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
