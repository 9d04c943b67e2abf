"""What to say where S3 refuses: which permission is missing, or that it is something else."""

import re
from collections.abc import Callable

from bucketzip.doctor.finding import Finding, failed
from bucketzip.doctor.policy import Grant
from bucketzip.errors import AccessDenied, BucketzipError, S3Error

_KMS = re.compile(r"\bkms:|\bKMS\.|ciphertext refers", re.IGNORECASE)
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9a-zA-Z-]+")
_EXPLICIT = re.compile(r"explicit deny", re.IGNORECASE)

Judge = Callable[..., Finding]


def is_of_kms(error: BucketzipError) -> bool:
    """Whether it is the key that is refused, as far as S3 says so."""
    return isinstance(error, AccessDenied | S3Error) and bool(_KMS.search(str(error)))


def refused(error: BucketzipError, *grants: Grant, judge: Judge = failed) -> Finding:
    """What a refusal means; `judge` says how bad it is. Other errors are raised again."""
    if not isinstance(error, AccessDenied):
        raise error
    if _EXPLICIT.search(str(error)):
        return judge(
            str(error),
            "something denies it explicitly (the bucket's policy, one of the organization or of a VPC endpoint):"
            " another permission does not help",
        )
    return judge(str(error), f"allow {_told(grants)}", *grants)


def key_refused(error: BucketzipError, actions: tuple[str, ...], key: str = "", *, judge: Judge = failed) -> Finding:
    """The same where it is about a key of KMS; `key` is its ARN, where it is known."""
    found = _KEY.search(str(error))
    key = found[0] if found else key
    grants = tuple(Grant(action, key) for action in actions) if _KEY.fullmatch(key) else ()
    return judge(
        f"the key of KMS refuses: {error}",
        f"allow {' and '.join(actions)} on {key or 'the key'}, in the role's policy or the key's own; see that the key"
        " is enabled",
        *grants,
    )


def _told(grants: tuple[Grant, ...]) -> str:
    by_resource: dict[str, list[str]] = {}
    for each in grants:
        by_resource.setdefault(each.resource, []).append(each.action)
    return "; ".join(f"{' and '.join(actions)} on {resource}" for resource, actions in by_resource.items())
