"""Where a listing of S3 goes on, in the hands of a client.

S3's own token says it, and S3 alone understands it: what becomes of one that somebody made up is its server's choice.
So clients get it sealed, and it comes back for the same listing as it was given, or not at all.
"""

from bucketzip.errors import InvalidRequest
from bucketzip.state.instance_key import InstanceKey, NotSealedHere

_TO_URL, _FROM_URL = str.maketrans("+/", "-_"), str.maketrans("-_", "+/")


class Cursors:
    """Seals tokens, with the key of this instance. `listing` tells one from any other."""

    def __init__(self, key: InstanceKey) -> None:
        self._key = key

    def give(self, token: str, listing: str) -> str | None:
        """The `next` of a page, to be put into a URL as it is; None where there is no token."""
        return self._key.seal(token, listing).rstrip("=").translate(_TO_URL) if token else None

    def read(self, cursor: str | None, listing: str) -> str:
        """The token, empty without a cursor; raises InvalidRequest where it is no `next` of this listing."""
        if cursor is None:
            return ""
        sealed = cursor.translate(_FROM_URL) + "=" * (-len(cursor) % 4)
        try:
            return self._key.unseal(sealed, listing)
        except NotSealedHere:
            raise InvalidRequest("after: this is no `next` of an earlier answer about the same folder") from None
