"""`bucketzip zip` as it is described, and what it refuses before it does anything."""

import errno
import os
from pathlib import Path

import pytest

from tests.test_cli import run


def test_help_teaches_by_examples() -> None:
    status, said, _ = run("zip", "--help")
    assert status == 0
    for taught in (
        "usage: bucketzip zip [options] SOURCE... DESTINATION",
        "bucketzip zip s3://photos/2024/ s3://out/2024.zip ",
        "bucketzip zip s3://photos/2024/ 2024.zip ",
        "bucketzip zip s3://photos/2024/ - | ",
        "the same command goes on where it stood",
        "Exit status: 0 done, 1 failed, 2 wrong usage",
    ):
        assert taught in said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("s3://in/", "s3://out/"), "a destination is one object: s3://bucket/key without a final slash"),
        (("s3://in/", "http://out/a.zip"), "a destination is written s3://bucket/key, not 'http://out/a.zip'"),
        (("in/", "a.zip"), "a source is written s3://bucket/key, not 'in/'"),
        (("s3://in/", "."), ". is a folder: name a file in it"),
        (("s3://in/", "none/a.zip"), "none/a.zip: there is no folder none, make it first"),
        (("s3://in/", "/dev/null", "--if-exists", "replace"), "/dev/null is a device or a pipe: make the archive `-`"),
        (("s3://in/", "a.zip", "--acl", "private"), "--acl: only for an s3:// destination"),
        (("s3://in/", "-", "--tag", "a=b"), "--tag: only for an s3:// destination"),
        (("s3://in/", "a.zip", "--if-exists", "rename"), "--if-exists rename: only for an s3:// destination"),
        (("s3://in/", "-", "--json"), "--json, --discard and --if-exists are not for a destination of -"),
        (("s3://in/", "a.zip", "--level", "4"), "--level: only with --compression deflate or auto"),
        (
            ("s3://in/", "a.zip", "--compression", "auto", "--level", "10"),
            "--level: Input should be less than or equal",
        ),
        (("s3://in/", "a.zip", "--json", "--discard"), "--json and --discard: one of them"),
        (("s3://in/", "s3://out/k", "--sse", "rot13"), "--sse: Input should be 'AES256' or 'aws:kms'"),
        (("s3://in/", "s3://out/k", "--kms-key", "k"), "`kms_key` needs `sse` to be aws:kms"),
        (("s3://in/", "s3://out/k", "--tag", "a=1", "--tag", "a=2"), "--tag: the same name twice"),
        (("s3://in/", "s3://out/k", "--tag", "aws:x=1"), "--tag: tags that begin with `aws:` are AWS's own"),
        (("s3://in/", "s3://out/k", "--include", ""), "--include: String should have at least 1 character"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], why: str, tmp_path: Path) -> None:
    status, out, said = run("zip", *arguments, environment={"XDG_STATE_HOME": str(tmp_path)})
    assert (status, out) == (2, "")
    assert said.startswith(f"bucketzip: {why}"), said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("s3://in/",), "the following arguments are required: DESTINATION"),
        (("s3://in/", "s3://out/k", "--metadata", "a"), "argument --metadata: is written NAME=VALUE, not 'a'"),
        (("s3://in/", "a.zip", "--if-exists", "ask"), "argument --if-exists: invalid choice: 'ask'"),
    ],
)
def test_what_argparse_refuses(arguments: tuple[str, ...], why: str) -> None:
    status, out, said = run("zip", *arguments)
    assert (status, out) == (2, "")
    assert f"bucketzip zip: error: {why}" in said


def test_a_destination_that_cannot_be_looked_at_is_one_clear_line() -> None:
    name = "a" * 300
    assert run("zip", "s3://in/", name) == (1, "", f"bucketzip: {name}: {os.strerror(errno.ENAMETOOLONG)}\n")


def test_all_mistakes_are_told_at_once() -> None:
    status, _, said = run("zip", "in/", "s3://out/", "--sse", "x")
    assert status == 2
    assert len(said.splitlines()) == 3


def test_settings_come_from_the_environment_too(tmp_path: Path) -> None:
    status, _, said = run("zip", "s3://in/", "a.zip", environment={"BUCKETZIP_MEMORY_BYTES": "lots"})
    assert (status, said.partition(":")[0]) == (2, "bucketzip")
    assert "BUCKETZIP_MEMORY_BYTES: " in said


def test_a_state_directory_that_cannot_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, _, said = run("zip", "s3://in/", "a.zip", "--state-dir", str(tmp_path / "file"))
    assert status == 1
    assert said == (
        f"bucketzip: cannot zip: the state directory {tmp_path / 'file'} cannot be written to: Not a directory\n"
    )
