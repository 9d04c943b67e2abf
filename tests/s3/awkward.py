"""Keys that S3 allows and that some encoder on the way gets wrong."""

import random

AWKWARD = [
    *" +%~?#&='\"<>\\^{}[]!*();:@$,|`-_.",
    "/",
    "//",
    "/./",
    "/../",
    "%2F",
    "%20",
    "%",
    "\t",
    "\n",
    "\r",
    "\x00",
    "\x1b",
    "\x7f",
    "\u0085",
    "\u00a0",
    "\u00fc",
    "u\u0308",  # the same letter, as two characters
    "\u0301",
    "\u200d",
    "\u202e",
    "\ufeff",
    "\uffff",
    "\u4e2d",
    "\U0001f600",
    "\U0010ffff",
]


def awkward_keys(count: int, *, seed: int = 0) -> list[str]:
    """Make different keys, one in three of them with a slash at its start."""
    chance = random.Random(seed)
    keys: dict[str, None] = {}
    while len(keys) < count:
        pieces = [chance.choice([*AWKWARD, "a", "Z9", chr(chance.randrange(0x20, 0xD7FF))]) for _ in range(12)]
        keys[("/" if chance.random() < 1 / 3 else "") + "".join(pieces[: chance.randrange(1, 13)])] = None
    return list(keys)
