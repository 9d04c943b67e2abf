"""`bucketzip user`: who may use a server, told and changed on its machine, in its state directory."""

import argparse
import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from bucketzip.commands import CommandError
from bucketzip.commands.settings import add_settings, read_settings, working_in
from bucketzip.notify.signature import callback_secret
from bucketzip.state import database
from bucketzip.state.initial_user import forget_initial_user, read_initial_user
from bucketzip.state.instance_key import load_instance_key
from bucketzip.state.tokens import Tokens
from bucketzip.state.users import LastAdmin, Role, User, Users
from bucketzip.web.caller import TRUSTED

_EXAMPLES = """examples:
  bucketzip user show-initial --state-dir /var/lib/bucketzip      key and secret of the first user, an admin
  bucketzip user add --bucket 'photos-*' --bucket exports         a user who may name these buckets alone
  bucketzip user rotate Sx9b4gTqWm2LkVzR7cYdNf                    a new secret; tokens of the old one end
  bucketzip user forget-initial                                   remove the first user's secret from the disk

  curl -H "Authorization: Bearer $(bucketzip user token)" http://127.0.0.1:8080/archives

The first start of `bucketzip serve` makes the first user. A running server knows of a change at once. Whoever may
read the state directory may do all this, so guard it. --state-dir may also come from BUCKETZIP_STATE_DIR.
"""

_ADMIN_NEEDED = "this is the last admin; make another one first: bucketzip user add --role admin"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe it."""
    parser = commands.add_parser(
        "user",
        description="Tell and change who may use the server of a state directory.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _action(actions, "show-initial", _show_initial, "print key and secret of the first user", for_programs=True)
    _action(actions, "list", _list, "print all users", for_programs=True)
    new = _action(actions, "add", _add, "make a user, print key and secret", for_programs=True)
    new.add_argument(
        "--role",
        choices=list(Role),
        type=Role,
        default=Role.USER,
        help="an admin sees and ends everybody's jobs [user]",
    )
    new.add_argument(
        "--bucket",
        action="append",
        type=_bucket_glob,
        metavar="GLOB",
        help="only buckets like this; may be given several times [all]",
    )
    rotate = _action(actions, "rotate", _rotate, "make a new secret for a user, print it", for_programs=True)
    rotate.add_argument("user_key", metavar="KEY")
    remove = _action(actions, "remove", _remove, "remove a user; links that the user made go on working")
    remove.add_argument("user_key", metavar="KEY")
    _action(actions, "forget-initial", _forget_initial, "remove the first user's secret from the state directory")
    token = _action(actions, "token", _token, "print a token, which is good for a day")
    token.add_argument("user_key", metavar="KEY", nargs="?", help="whose [the oldest admin's]")
    signed = _action(actions, "callback-secret", _callback_secret, "print what a user's callbacks are signed with")
    signed.add_argument("user_key", metavar="KEY", help=f"`{TRUSTED.owner}` is for who needs none")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    does: Callable[[argparse.Namespace, Path], Awaitable[int]],
    text: str,
    *,
    for_programs: bool = False,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    add_settings(parser, ["state_dir"])
    if for_programs:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(options: argparse.Namespace) -> int:
        settings = read_settings(options)
        directory = settings.state_dir
        if not (directory / database.FILE_NAME).exists():
            raise CommandError(
                f"{directory} is not the state directory of a server: name that with --state-dir, or start"
                f" `bucketzip serve --state-dir {directory}` once"
            )
        with working_in(settings, verb="do that"):
            return asyncio.run(_awaited(does(options, directory)))

    parser.set_defaults(run=run)
    return parser


def _bucket_glob(text: str) -> str:
    """What some bucket's name matches: of another user's list nothing would ever come."""
    if not re.fullmatch(r"[A-Za-z0-9._*?\[\]!-]+", text):
        raise argparse.ArgumentTypeError(f"is a bucket's name, or a glob such as photos-*, not {text!r}")
    return text


async def _awaited(action: Awaitable[int]) -> int:
    return await action


@asynccontextmanager
async def _users(directory: Path) -> AsyncIterator[Users]:
    async with database.open_database(directory) as opened:
        yield Users(opened)


async def _show_initial(options: argparse.Namespace, directory: Path) -> int:
    initial = read_initial_user(directory)
    if initial is None:
        raise CommandError(
            "the first user's secret is not here any more: it was rotated or forgotten. `bucketzip user list` tells"
            " the keys, `bucketzip user rotate KEY` makes a new secret"
        )
    return _tell(options, initial.user_key, initial.user_secret)


async def _list(options: argparse.Namespace, directory: Path) -> int:
    async with _users(directory) as users:
        found = await users.all()
    if options.json:
        print(json.dumps([_as_json(user) for user in found]))
        return 0
    print(f"{'user key':24}{'role':8}{'made':22}buckets")
    for user in found:
        print(f"{user.user_key:24}{user.role:8}{_utc(user.created_at):22}{', '.join(user.buckets)}")
    return 0


async def _add(options: argparse.Namespace, directory: Path) -> int:
    async with _users(directory) as users:
        user, secret = await users.add(options.role, options.bucket or ["*"])
    return _tell(options, user.user_key, secret, "The secret is not kept: note it now.")


async def _rotate(options: argparse.Namespace, directory: Path) -> int:
    async with _users(directory) as users:
        secret = await users.rotate(options.user_key)
    if secret is None:
        raise _no_such_user(options.user_key)
    forget_initial_user(directory, options.user_key)
    return _tell(options, options.user_key, secret, "The secret is not kept: note it now. Older tokens have ended.")


async def _remove(options: argparse.Namespace, directory: Path) -> int:
    async with _users(directory) as users:
        try:
            removed = await users.remove(options.user_key)
        except LastAdmin as error:
            raise CommandError(_ADMIN_NEEDED) from error
    if not removed:
        raise _no_such_user(options.user_key)
    forget_initial_user(directory, options.user_key)
    print(f"removed {options.user_key}; jobs and links that this user made are there as before")
    return 0


async def _forget_initial(options: argparse.Namespace, directory: Path) -> int:
    if forget_initial_user(directory):
        print("the first user's secret is not on this disk any more")
    else:
        print("the first user's secret was not on this disk")
    return 0


async def _token(options: argparse.Namespace, directory: Path) -> int:
    async with _users(directory) as users:
        if options.user_key is not None:
            user = await users.get(options.user_key)
            if user is None:
                raise _no_such_user(options.user_key)
        else:
            user = next((each for each in await users.all() if each.role is Role.ADMIN), None)
            if user is None:
                raise CommandError(f"there is no user yet: start `bucketzip serve --state-dir {directory}` once")
    print(Tokens(load_instance_key(directory)).issue(user))
    return 0


async def _callback_secret(options: argparse.Namespace, directory: Path) -> int:
    async with _users(directory) as users:
        if options.user_key != TRUSTED.owner and await users.get(options.user_key) is None:
            raise _no_such_user(options.user_key)
    print(callback_secret(load_instance_key(directory), options.user_key))
    return 0


def _tell(options: argparse.Namespace, user_key: str, secret: str, note: str = "") -> int:
    if options.json:
        print(json.dumps({"user_key": user_key, "user_secret": secret}))
        return 0
    print(f"user key     {user_key}\nuser secret  {secret}")
    if note:
        print(f"\n{note}", file=sys.stderr)
    return 0


def _no_such_user(user_key: str) -> CommandError:
    return CommandError(f"no user has the key {user_key!r}; `bucketzip user list` tells the keys")


def _as_json(user: User) -> dict[str, object]:
    told = asdict(user)
    del told["tokens_from"]
    return told | {"created_at": _utc(user.created_at)}


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
