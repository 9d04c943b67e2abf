"""Everything is made once: a Debian, the image that is built on it, and two instances of that."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.image import host, trees
from tests.image.bake import BUILD, Baked, baked, remove, wheelhouse
from tests.image.instance import Instance, launched
from tests.image.network import network


@pytest.fixture(scope="session", autouse=True)
def _possible() -> None:
    """Where it is not, every test fails, with the reason."""
    BUILD.mkdir(parents=True, exist_ok=True)
    host.require(BUILD)
    host.sweep()


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A directory for trees, on a disk: overlays do not go on overlays."""
    made = Path(tempfile.mkdtemp(prefix=f"{host.own('')}", dir=BUILD))
    yield made
    remove(made)


@pytest.fixture(scope="session")
def image(home: Path) -> Iterator[Baked]:
    """The built image."""
    with ThreadPoolExecutor() as at_once, network("bake") as inside:
        wheels = at_once.submit(wheelhouse)
        base = trees.unpack(trees.base_tar(BUILD), home / "base")
        wheels.result()
        yield baked(home, base, inside)


@pytest.fixture(scope="session")
def instances(home: Path, image: Baked) -> Iterator[tuple[Instance, Instance]]:
    """Two of it, side by side, each with a network and an S3 of its own."""
    with launched("one", image, home / "one") as one, launched("two", image, home / "two") as two:
        yield one, two
