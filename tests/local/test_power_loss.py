"""The power goes off between any two calls, again and again: no byte is ever trusted that is not the archive's."""

import random
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bucketzip.local.note import Made
from bucketzip.local.part_file import PartFile, discard
from tests.local.disk import Disk, PowerLoss

SEEDS = 24
MOST_CALLS = 60
STEPS = [random.Random(number).randbytes(random.Random(number).randrange(1, 3000)) for number in range(40)]
ARCHIVES = {
    Made('"this"'): STEPS,
    Made('"this"', "auto 3"): STEPS[::-1],
    Made('"this"', "deflate 6"): STEPS[5:],
    Made('"other"'): STEPS[1:],
}


def checkpoint(step: int) -> bytes:
    """Long enough to cross sectors."""
    return b"%4d" % step * 100


def go_on(destination: Path, of: Made, dice: random.Random) -> None:
    """Write all that is missing of the archive, and find right what is there."""
    steps = ARCHIVES[of]
    whole, stored = b"".join(steps), of.way == "store"
    with closing(PartFile(destination, of, len(whole) if stored else None)) as part:
        assert part.path.read_bytes() == whole[: part.length]
        if stored:
            at = part.length
            while at < len(whole):
                at += len(whole[at : at + 1500])
                part.write(whole[part.length : at])
                if dice.random() < 0.5:
                    part.sync(part.length)
        else:
            first, since = len(b"".join(part.checkpoints)) // len(checkpoint(0)), b""
            assert part.checkpoints == () or b"".join(part.checkpoints) == b"".join(map(checkpoint, range(first)))
            assert part.length == len(b"".join(steps[:first]))
            for number, step in enumerate(steps[first:], first):
                part.write(step)
                since += checkpoint(number)
                if dice.random() < 0.5:
                    part.sync(part.length, since)
                    since = b""
        part.finish(replace=False)


@pytest.mark.parametrize("seed", range(0, SEEDS, 8))
def test_whatever_is_left_of_it_the_archive_is_right(seed: int, tmp_path: Path) -> None:
    for number in range(seed, seed + 8):
        folder = tmp_path / str(number)
        folder.mkdir()
        _killed_again_and_again(folder, random.Random(number))


def _killed_again_and_again(folder: Path, dice: random.Random) -> None:
    destination, disk, of = folder / "a.zip", Disk(dice), Made('"this"')
    while True:
        if dice.random() < 0.3:
            of = dice.choice([*ARCHIVES])
        with suppress(PowerLoss), disk.on_for(dice.randrange(MOST_CALLS)):
            go_on(destination, of, dice)
        disk.crash(folder)
        if destination.exists():
            assert destination.read_bytes() == b"".join(ARCHIVES[of])
            discard(destination)
            assert [path.name for path in folder.iterdir()] == ["a.zip"]
            return
