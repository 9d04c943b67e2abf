"""Names that nobody can be harmed by: for any keys, in any order, and always the same for the same keys."""

import os
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bucketzip.archive.names import PART_BYTES, Names, safe

FILE_SYSTEM_BYTES = 255

# What S3 takes for a key is any Unicode but surrogates; what is dangerous in it comes often here.
CHARACTERS = st.one_of(st.sampled_from("/.\\:ab \0\n\x7f\x85üé"), st.characters(exclude_categories=["Cs"]))
PATHS = st.text(CHARACTERS, max_size=40)
# Few names, so that they clash: as files, as folders, and with the numbers that clashes give.
CLASHING = st.lists(st.sampled_from(["a", "b.txt", "a (2)", "b (2).txt", "A", ".x"]), min_size=1, max_size=4).map(
    "/".join
)
REQUESTS = st.lists(st.tuples(st.booleans(), st.one_of(CLASHING, PATHS)), max_size=30)


def harm_of(name: str) -> list[str]:
    """Return what is wrong with a file's name."""
    parts = name.split("/")
    rules = {
        "empty": not name,
        "absolute": name.startswith("/"),
        "a drive": re.match(r"[A-Za-z]:", name),
        "a backslash": "\\" in name,
        "a control character": any(unicodedata.category(character) == "Cc" for character in name),
        "an empty part": "" in parts,
        "leads outside": ".." in parts,
        "a part that is no name": "." in parts,
        "a part too long": any(len(part.encode()) > FILE_SYSTEM_BYTES for part in parts),
    }
    return [rule for rule, broken in rules.items() if broken]


def named(requests: Sequence[tuple[bool, str]]) -> list[str]:
    """Return the names of all entries; a request is (is it a folder, path)."""
    names = Names()
    given_names = [names.folder(path) if is_folder else names.file(path) for is_folder, path in requests]
    return [name for name in given_names if name is not None]


@settings(deadline=None, max_examples=300)
@given(PATHS)
@example("")
@example("..")
@example("../../etc/passwd")
@example("/etc/passwd")
@example("C:/Windows")
@example("/C:/Windows")
@example("./C:\\Windows")
@example("..\n")
@example("a/..")
@example("\x85")
@example("." * 300)
@example("/".join(["x" * 300] * 3))
def test_any_path_becomes_a_safe_one(path: str) -> None:
    assert harm_of(safe(path)) == []


@settings(deadline=None, max_examples=300)
@given(PATHS)
@example("é" * 200)
@example("x" * 239 + "é")
@example("C:" + "x" * 300)
def test_a_safe_path_stays_as_it_is(path: str) -> None:
    assert safe(safe(path)) == safe(path)


@given(st.lists(st.text("abc üé日_-. ", min_size=1, max_size=20).filter(lambda part: part.strip(".")), min_size=1))
def test_an_ordinary_key_is_its_own_name(parts: list[str]) -> None:
    key = "/".join(parts)
    assert safe(key) == key
    assert Names().file(key) == key


@settings(deadline=None, max_examples=300)
@given(REQUESTS)
def test_names_are_safe_and_nothing_is_in_the_way_of_another(requests: list[tuple[bool, str]]) -> None:
    entries = named(requests)
    assert [harm_of(name.removesuffix("/")) for name in entries] == [[]] * len(entries)
    assert len(set(entries)) == len(entries)
    files = {name for name in entries if not name.endswith("/")}
    folders = {name[:at] for name in entries for at in range(len(name)) if name[at] == "/"}
    assert not files & folders, "a file where a folder must be"


@given(REQUESTS)
def test_the_same_requests_give_the_same_names(requests: list[tuple[bool, str]]) -> None:
    assert named(requests) == named(requests)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a//b", "a/b"),
        ("a/./b", "a/b"),
        ("./a", "a"),
        ("a/", "a"),
        ("/", "_"),
        (".", "_"),
        ("", "_"),
        ("..", "_"),
        ("a/../b", "a/_/b"),
        ("...", "..."),
        ("a..b/..c", "a..b/..c"),
        ("/abs", "abs"),
        ("C:", "C_"),
        ("c:/x", "c_/x"),
        ("//C:/x", "C_/x"),
        ("a/C:", "a/C:"),
        ("ab:c", "ab:c"),
        ("a\\b", "a_b"),
        ("..\\..\\x", ".._.._x"),
        ("tab\there\x00\x1f\x7f\x9f", "tab_here____"),
        ("caf\u00e9", "caf\u00e9"),
        (" leading and trailing ", " leading and trailing "),
    ],
)
def test_the_rules_one_by_one(path: str, name: str) -> None:
    assert safe(path) == name


@pytest.mark.parametrize(
    ("part", "cut"),
    [
        ("x" * 240, "x" * 240),
        ("x" * 241, "x" * 240),
        ("x" * 300 + ".txt", "x" * 236 + ".txt"),
        ("é" * 121 + ".txt", "é" * 118 + ".txt"),
        ("日" * 100 + ".gz", "日" * 79 + ".gz"),
        ("x." + "y" * 300, "x." + "y" * 238),
        ("." + "x" * 300, "." + "x" * 239),
    ],
)
def test_a_part_that_no_file_system_takes_is_cut_and_keeps_its_extension(part: str, cut: str) -> None:
    assert safe(part) == cut
    assert safe(f"a/{part}/b") == f"a/{cut}/b"


def test_a_key_of_900_characters_in_one_part_has_room_for_its_number() -> None:
    names = Names()
    given_names = [names.file(f"folder/{'é' * 900}{number}.txt") for number in range(3)]
    assert given_names[0] == f"folder/{'é' * 118}.txt"
    assert given_names[1:] == [f"folder/{'é' * 118} ({number}).txt" for number in (2, 3)]
    assert max(len(part.encode()) for name in given_names for part in name.split("/")) <= FILE_SYSTEM_BYTES


@pytest.mark.parametrize("parts", [500, 3000])
def test_paths_may_be_deeper_than_python_is(parts: int) -> None:
    """An object's key has 512 parts at most; a root, a prefix and a name come on top of it."""
    names = Names()
    folder = "/".join(["d"] * parts)
    assert names.file(f"{folder}/f") == f"{folder}/f"
    assert names.file(f"{folder}/f") == f"{folder}/f (2)"
    assert names.folder(folder) == f"{folder}/"


def test_the_number_stands_before_the_extension() -> None:
    names = Names()
    for path, name in [
        ("a.txt", "a.txt"),
        ("a.txt", "a (2).txt"),
        ("a.txt", "a (3).txt"),
        ("x.y/a.tar.gz", "x.y/a.tar.gz"),
        ("x.y/a.tar.gz", "x.y/a.tar (2).gz"),
        ("x.y/none", "x.y/none"),
        ("x.y/none", "x.y/none (2)"),
        (".profile", ".profile"),
        (".profile", ".profile (2)"),
    ]:
        assert names.file(path) == name


def test_a_number_that_a_key_has_already_is_not_given_again() -> None:
    names = Names()
    assert [names.file(name) for name in ("a (2)", "a", "a", "a (2)", "a (3)")] == [
        "a (2)",
        "a",
        "a (3)",
        "a (2) (2)",
        "a (3) (2)",
    ]


def test_a_folder_that_meets_a_file_steps_aside_with_all_that_is_in_it() -> None:
    names = Names()
    assert names.file("a") == "a"
    assert names.file("a/b") == "a (2)/b"
    assert names.file("a/c/d") == "a (2)/c/d"
    assert names.folder("a/") == "a (2)/"


def test_a_file_that_meets_a_folder_steps_aside() -> None:
    names = Names()
    assert names.file("a.d/b") == "a.d/b"
    assert names.file("a.d") == "a (2).d"
    assert names.folder("a.d") == "a.d/"


def test_a_folder_has_one_entry() -> None:
    names = Names()
    assert names.folder("a/b/") == "a/b/"
    assert names.folder("a/b") is None
    assert names.folder("a//b/") is None
    assert names.folder("a/") == "a/"
    assert names.file("a/b/c") == "a/b/c"


def test_nfc_and_nfd_are_two_names() -> None:
    """S3 keeps them apart; so does the archive, and says nothing about what a Mac makes of it."""
    composed, decomposed = "caf\u00e9.txt", "cafe\u0301.txt"
    names = Names()
    assert [names.file(composed), names.file(decomposed)] == [composed, decomposed]


def seconds_for(count: int, path: str) -> float:
    began = time.process_time()
    names = Names()
    for _ in range(count):
        names.file(path)
    assert names.file(path).endswith(f" ({count + 1}).txt")
    return time.process_time() - began


def test_duplicates_take_linear_time() -> None:
    """100,000 take about ten times as long as 10,000; a quadratic way would take a hundred times."""
    few = min(seconds_for(10_000, "folder/same.txt") for _ in range(3))
    assert seconds_for(100_000, "folder/same.txt") < 40 * few


def test_numbers_that_keys_have_already_are_passed_over_once() -> None:
    names = Names()
    for number in range(2, 50_000):
        names.file(f"a ({number})")
    began = time.process_time()
    for _ in range(20_000):
        names.file("a")
    assert time.process_time() - began < 5  # looking from 2 on each time would take minutes


SCRIPT = """
from bucketzip.archive.names import Names
names = Names()
for number in range(300):
    print(ascii(names.file(f"k{number % 7}/x{number % 5}.txt")), ascii(names.file(f"k{number % 3}")))
    print(ascii(names.folder(f"k{number % 11}/")))
"""


def test_names_do_not_depend_on_the_hash_seed() -> None:
    def run(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    assert run("1") == run("2") != ""


def test_a_cut_part_leaves_room_for_the_number_of_a_hundred_thousandth() -> None:
    assert PART_BYTES + len(" (100000)") <= FILE_SYSTEM_BYTES
