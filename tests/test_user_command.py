"""`bucketzip user`: its commands, one after the other, on the state directory of a server."""

import asyncio
import json
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from bucketzip.cli import main
from bucketzip.notify.signature import callback_secret
from bucketzip.state.database import open_database
from bucketzip.state.initial_user import FILE_NAME, make_initial_user
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.tokens import Tokens
from bucketzip.state.users import User, Users

T = TypeVar("T")


class Done(NamedTuple):
    status: object
    out: str
    said: str


class Commands:
    """Runs them in this process: a new one for each would take a second."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(["user", *arguments, "--state-dir", str(self.directory)])
        return Done(ended.value.code, *self._capsys.readouterr())

    def told(self, *arguments: str) -> Any:
        done = self(*arguments, "--json")
        assert (done.status, done.out.count("\n")) == (0, 1), done
        return json.loads(done.out)


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.setenv("COLUMNS", "200")
    return Commands(tmp_path / "state", capsys)


@pytest.fixture
def served(command: Commands) -> Commands:
    """As after the first start of a server."""
    command.directory.mkdir()
    in_users(command, lambda users: make_initial_user(users, command.directory))
    return command


def in_users(command: Commands, does: Callable[[Users], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        async with open_database(command.directory) as database:
            return await does(Users(database))

    return asyncio.run(run())


def authenticated(command: Commands, told: dict[str, str]) -> User | None:
    return in_users(command, lambda users: users.authenticate(told["user_key"], told["user_secret"]))


def is_good(command: Commands, token: str) -> bool:
    """Whether a server would take the token."""
    claims = Tokens(load_instance_key(command.directory)).read(token.strip())
    user = in_users(command, lambda users: users.get(claims.user_key))
    return user is not None and claims.holds_for(user)


def test_the_first_user_is_shown_until_the_secret_is_rotated(served: Commands) -> None:
    file = served.directory / FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    initial = served.told("show-initial")
    assert initial == json.loads(file.read_text())
    assert authenticated(served, initial)
    shown = served("show-initial")
    assert shown.out == f"user key     {initial['user_key']}\nuser secret  {initial['user_secret']}\n"
    token = served("token").out
    assert is_good(served, token)

    rotated = served("rotate", initial["user_key"])
    assert "The secret is not kept" in rotated.said
    assert initial["user_secret"] not in rotated.out
    assert not file.exists()
    assert not authenticated(served, initial)
    assert not is_good(served, token)
    gone = served("show-initial")
    assert (gone.status, gone.out) == (2, "")
    assert "bucketzip user rotate KEY" in gone.said


def test_users_are_added_listed_rotated_and_removed(served: Commands) -> None:
    made = served.told("add", "--bucket", "photos-*", "--bucket", "exports")
    user = authenticated(served, made)
    assert user is not None
    assert (user.role, user.buckets) == ("user", ("photos-*", "exports"))
    first, second = served.told("list")
    assert (first["role"], first["buckets"]) == ("admin", ["*"])
    assert second["user_key"] == made["user_key"]
    table = served("list").out.splitlines()
    assert table[0].split() == ["user", "key", "role", "made", "buckets"]
    assert table[2].startswith(f"{made['user_key']}  user ")
    assert table[2].endswith("  photos-*, exports")

    token = served("token", made["user_key"]).out
    assert is_good(served, token)
    rotated = served.told("rotate", made["user_key"])
    assert rotated["user_key"] == made["user_key"]
    assert not authenticated(served, made)
    assert authenticated(served, rotated)
    assert not is_good(served, token)
    assert (served.directory / FILE_NAME).exists(), "it is of another user"

    refused = served("remove", first["user_key"])
    assert (refused.status, refused.out) == (2, "")
    assert "bucketzip user add --role admin" in refused.said
    assert served("remove", made["user_key"]).status == 0
    assert [each["user_key"] for each in served.told("list")] == [first["user_key"]]
    assert served.told("add", "--role", "admin")
    assert served("remove", first["user_key"]).status == 0
    assert not (served.directory / FILE_NAME).exists()


def test_the_initial_secret_can_be_forgotten(served: Commands) -> None:
    initial = served.told("show-initial")
    assert "is not on this disk any more" in served("forget-initial").out
    assert not (served.directory / FILE_NAME).exists()
    assert served("forget-initial").status == 0
    assert authenticated(served, initial), "it works on"


def test_what_cannot_be_done_is_one_clear_line(command: Commands) -> None:
    for arguments in (["list"], ["token"], ["add"], ["show-initial"]):
        done = command(*arguments)
        assert (done.status, done.out) == (2, "")
        assert done.said == (
            f"bucketzip: {command.directory} is not the state directory of a server: name that with --state-dir,"
            f" or start `bucketzip serve --state-dir {command.directory}` once\n"
        )
    assert not command.directory.exists()


def test_a_key_that_nobody_has(served: Commands) -> None:
    for action in ("rotate", "remove", "token"):
        done = served(action, "nobody")
        assert (done.status, done.out) == (2, "")
        assert done.said == "bucketzip: no user has the key 'nobody'; `bucketzip user list` tells the keys\n"


@pytest.mark.parametrize("bucket", ["", "s3://photos", "photos/2024", "a b"])
def test_what_no_bucket_is_called_is_refused(bucket: str, served: Commands) -> None:
    before = served.told("list")
    done = served("add", "--bucket", "photos", "--bucket", bucket)
    assert (done.status, done.out) == (2, "")
    assert f"--bucket: is a bucket's name, or a glob such as photos-*, not {bucket!r}\n" in done.said
    assert served.told("list") == before


def test_help_teaches_by_examples(command: Commands) -> None:
    told = command("--help").out
    for action in ("show-initial", "list", "add", "rotate", "remove", "forget-initial", "token"):
        assert f"    {action} " in told or f"    {action}\n" in told
    assert 'curl -H "Authorization: Bearer $(bucketzip user token)"' in told
    added = command("add", "--help").out
    assert "--bucket GLOB" in added
    assert "--state-dir" in added


def test_the_secret_of_callbacks_is_printed_for_each_user(command: Commands, served: Commands) -> None:
    key, user = load_instance_key(command.directory), command.told("list")[0]["user_key"]
    for owner in ("trusted", user):
        assert command("callback-secret", owner) == (0, f"{callback_secret(key, owner)}\n", "")
    status, out, said = command("callback-secret", "nobody")
    assert (status, out) == (2, "")
    assert "`bucketzip user list` tells the keys" in said
