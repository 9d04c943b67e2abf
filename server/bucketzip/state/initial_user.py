"""The first user of a machine, an admin: made by the first server that starts, so that nobody has to invent a secret.

The secret stays in a file of its own until it was rotated or is told to be forgotten: whoever may read the state
directory could make tokens anyway, with the key that lies there.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

from bucketzip.state.users import User, Users

FILE_NAME = "initial-user.json"


class InitialUser(NamedTuple):
    """What the file tells."""

    user_key: str
    user_secret: str


async def make_initial_user(users: Users, directory: Path) -> User | None:
    """The user, if there was none at all; else None."""

    def tell(user: User, secret: str) -> None:
        _write(directory / FILE_NAME, InitialUser(user.user_key, secret))

    return await users.add_first(tell)


def read_initial_user(directory: Path) -> InitialUser | None:
    """The first user, as long as the secret is there to be read."""
    try:
        told = json.loads((directory / FILE_NAME).read_text())
    except FileNotFoundError:
        return None
    return InitialUser(**told)


def forget_initial_user(directory: Path, user_key: str | None = None) -> bool:
    """Remove the secret, if it is of that user; whether it was there."""
    initial = read_initial_user(directory)
    if initial is None or user_key not in {None, initial.user_key}:
        return False
    (directory / FILE_NAME).unlink(missing_ok=True)
    return True


def _write(path: Path, initial: InitialUser) -> None:
    """Whole, and on the disk, before anybody counts on it. One process at a time is here."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(initial._asdict(), file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
