"""Credentials that come with a request, from there to whoever uses them: in between they are kept sealed.

Once what they serve is over an empty text is kept in their place. It stands for no credentials at all, and is never
taken for those of the server.
"""

import json

from pydantic import TypeAdapter

from bucketzip.errors import KeysExpired
from bucketzip.plan.endpoints import AllowedEndpoints
from bucketzip.plan.request import KeyCredentials, RoleCredentials
from bucketzip.state.instance_key import InstanceKey

Given = RoleCredentials | KeyCredentials

USE = "credentials"
_READ: TypeAdapter[Given] = TypeAdapter(Given)


class Sealing:
    """Seals and unseals, with the key of this instance."""

    def __init__(self, key: InstanceKey, endpoints: AllowedEndpoints) -> None:
        self._key = key
        self._endpoints = endpoints

    def seal(self, given: Given | None) -> str | None:
        """What is kept of them; None for those of the server. Raises InvalidRequest where they may not be used."""
        if given is None:
            return None
        if isinstance(given, KeyCredentials) and given.endpoint is not None:
            self._endpoints.check(given.endpoint)
        return self._key.seal(_in_clear(given), USE)

    def unseal(self, sealed: str) -> Given:
        """Raises KeysExpired where they are not kept any more, and NotSealedHere."""
        if not sealed:
            raise KeysExpired("the credentials that came with this request are not kept any more; ask again with them")
        given = _READ.validate_json(self._key.unseal(sealed, USE))
        if isinstance(given, KeyCredentials) and given.endpoint is not None:
            self._endpoints.check(given.endpoint)  # the setting may be another one by now
        return given

    def name(self, given: Given) -> str:
        """By which what is known of their rights is kept: always the same, and nobody can tell them by it."""
        return self._key.derive(f"name {_in_clear(given)}", 16).hex()


def _in_clear(given: Given) -> str:
    fields = given.model_dump(exclude_none=True)
    if isinstance(given, KeyCredentials):
        fields["secret_access_key"] = given.secret_access_key.get_secret_value()
        if given.session_token is not None:
            fields["session_token"] = given.session_token.get_secret_value()
    return json.dumps(fields, sort_keys=True)
