"""The key of a machine."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bucketzip.state.instance_key import FILE_NAME, NotSealedHere, load_instance_key


def test_it_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    made = load_instance_key(tmp_path / "new")
    again = load_instance_key(tmp_path / "new")
    assert made.derive("tokens") == again.derive("tokens")
    assert made.derive("tokens") != made.derive("links")
    assert stat.S_IMODE((tmp_path / "new" / FILE_NAME).stat().st_mode) == 0o600
    assert [each.name for each in (tmp_path / "new").iterdir()] == [FILE_NAME]


def test_of_many_that_start_at_once_all_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        keys = set(threads.map(lambda _: load_instance_key(tmp_path).derive("x"), range(64)))
    assert len(keys) == 1


def test_what_is_sealed_is_read_by_this_instance_and_for_this_use_only(tmp_path: Path) -> None:
    key, other = load_instance_key(tmp_path), load_instance_key(tmp_path / "other")
    sealed = key.seal("the secret", "credentials")
    assert "secret" not in sealed
    assert sealed != key.seal("the secret", "credentials")
    assert key.unseal(sealed, "credentials") == "the secret"
    for reader, text, use in [
        (other, sealed, "credentials"),
        (key, sealed, "callbacks"),
        (key, sealed[:-4], "credentials"),
        (key, "", "credentials"),
        (key, "no base64 at all!", "credentials"),
    ]:
        with pytest.raises(NotSealedHere):
            reader.unseal(text, use)


def test_a_damaged_key_is_told_of(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    with pytest.raises(NotSealedHere, match="5 bytes instead of 32"):
        load_instance_key(tmp_path)
