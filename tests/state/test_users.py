"""Users: secrets only as hashes, one initial user, and no telling of who exists."""

import asyncio
import hashlib
import json
import stat
import string
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bucketzip.state.database import open_database
from bucketzip.state.initial_user import FILE_NAME, forget_initial_user, make_initial_user, read_initial_user
from bucketzip.state.scrypt import hash_of_nothing, hash_secret, matches
from bucketzip.state.users import LastAdmin, Role, User, Users

NOW = 1_800_000_000

STARTER = """
import asyncio, sys
from pathlib import Path
from bucketzip.state.database import open_database
from bucketzip.state.initial_user import make_initial_user
from bucketzip.state.users import Users
async def main():
    directory = Path(sys.argv[1])
    async with open_database(directory) as database:
        print(await make_initial_user(Users(database), directory) is not None)
asyncio.run(main())
"""


@pytest.fixture
async def users(tmp_path: Path) -> AsyncIterator[Users]:
    async with open_database(tmp_path) as database:
        yield Users(database, lambda: NOW)


def test_a_hash_tells_its_parameters_and_no_two_are_the_same() -> None:
    kept = hash_secret("the secret")
    assert kept.startswith("$scrypt$ln=14,r=8,p=1$")
    assert kept != hash_secret("the secret")
    assert matches("the secret", kept)
    assert not matches("the secreT", kept)
    assert not matches("", kept)


def test_a_hash_is_scrypt_as_rfc_7914_has_it() -> None:
    """Its second test vector: a hash made anywhere else, with other parameters, is read as it says."""
    digest = "/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA"  # 64 bytes
    assert hashlib.scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16, dklen=32).hex() == (
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
    )
    assert digest.startswith("/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI")
    kept = "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI"
    assert matches("password", kept)
    assert not matches("passwort", kept)


def test_what_is_no_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="not a hash"):
        matches("secret", "secret")


async def test_keys_and_secrets_have_the_shapes_of_s3zippers(users: Users) -> None:
    user, secret = await users.add(Role.USER, ["photos-*"])
    assert len(user.user_key) == 22
    assert len(secret) == 36
    assert set(user.user_key + secret) <= set(string.ascii_letters + string.digits)
    assert user == User(user.user_key, Role.USER, ("photos-*",), NOW, NOW)
    assert await users.get(user.user_key) == user
    assert await users.all() == [user]


async def test_only_the_right_secret_is_taken(users: Users) -> None:
    user, secret = await users.add(Role.USER)
    other, others = await users.add(Role.ADMIN)
    assert await users.authenticate(user.user_key, secret) == user
    assert await users.authenticate(other.user_key, others) == other
    for key, wrong in [
        (user.user_key, others),
        (user.user_key, secret[:-1]),
        (user.user_key, ""),
        (user.user_key.swapcase(), secret),
        ("", secret),
        ("\ud800", "\ud800"),  # no UTF-8
        ("x" * 1000, secret),
    ]:
        assert await users.authenticate(key, wrong) is None


async def test_an_unknown_key_costs_the_same_as_a_wrong_secret(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    """By construction: the same hash with the same parameters, whoever it is, so no clock tells who exists."""
    user, secret = await users.add(Role.USER)
    calls: list[dict[str, Any]] = []
    scrypt = hashlib.scrypt

    def noted(*arguments: Any, **parameters: Any) -> bytes:
        calls.append({**parameters, "salt": len(parameters["salt"])})
        return scrypt(*arguments, **parameters)

    monkeypatch.setattr(hashlib, "scrypt", noted)
    for key, tried in [(user.user_key, secret), (user.user_key, "wrong"), ("x" * 22, secret), ("unlike a key", secret)]:
        await users.authenticate(key, tried)
    assert len(calls) == 4
    assert all(call == calls[0] for call in calls)
    assert not matches(secret, hash_of_nothing())


async def test_rotation_ends_the_secret_and_all_tokens_before(users: Users) -> None:
    user, secret = await users.add(Role.USER)
    new = await users.rotate(user.user_key)
    assert new is not None
    assert await users.authenticate(user.user_key, secret) is None
    rotated = await users.authenticate(user.user_key, new)
    assert rotated is not None
    assert rotated.tokens_from == NOW + 1, "later than a token of this very second"
    await users.rotate(user.user_key)
    again = await users.get(user.user_key)
    assert again is not None
    assert again.tokens_from == NOW + 2, "also where it is rotated twice a second"
    assert await users.rotate("x" * 22) is None


async def test_the_last_admin_stays(users: Users) -> None:
    admin, _ = await users.add(Role.ADMIN)
    user, _ = await users.add(Role.USER)
    with pytest.raises(LastAdmin):
        await users.remove(admin.user_key)
    assert await users.get(admin.user_key) == admin
    assert await users.remove(user.user_key)
    assert not await users.remove(user.user_key)
    await users.add(Role.ADMIN)
    assert await users.remove(admin.user_key)


def all_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


async def test_the_state_has_no_secret_in_the_clear(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database:
        user, secret = await Users(database).add(Role.USER)
        await Users(database).authenticate(user.user_key, secret)
        content = all_bytes(tmp_path)
    assert user.user_key.encode() in content, "this is where it would be"
    assert secret.encode() not in content


async def test_the_initial_user_is_made_once_and_told_to_the_owner_alone(users: Users, tmp_path: Path) -> None:
    made = await make_initial_user(users, tmp_path)
    assert made is not None
    assert (made.role, made.buckets) == (Role.ADMIN, ("*",))
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600
    assert set(json.loads((tmp_path / FILE_NAME).read_text())) == {"user_key", "user_secret"}
    initial = read_initial_user(tmp_path)
    assert initial is not None
    assert await users.authenticate(initial.user_key, initial.user_secret) == made
    assert await make_initial_user(users, tmp_path) is None
    assert read_initial_user(tmp_path) == initial

    assert not forget_initial_user(tmp_path, "somebody else")
    assert read_initial_user(tmp_path) == initial
    assert forget_initial_user(tmp_path, initial.user_key)
    assert read_initial_user(tmp_path) is None
    assert not forget_initial_user(tmp_path)
    assert await make_initial_user(users, tmp_path) is None, "no second one, once there are users"


async def test_no_user_is_made_whose_secret_cannot_be_told(users: Users, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await make_initial_user(users, tmp_path / "gone")
    assert await users.all() == []


async def test_of_processes_that_start_at_once_one_makes_the_user(tmp_path: Path) -> None:
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", STARTER, str(tmp_path), stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [(await each.communicate())[0].strip() for each in started]
    assert sorted(said) == [b"False", b"False", b"True"]
    initial = read_initial_user(tmp_path)
    assert initial is not None
    async with open_database(tmp_path) as database:
        assert [each.user_key for each in await Users(database).all()] == [initial.user_key]
        assert await Users(database).authenticate(initial.user_key, initial.user_secret)
