"""What differs between Pythons is tried on the image's: since 3.12 a transport keeps views of what it has not sent."""

import shutil
from importlib.metadata import distribution
from pathlib import Path

from tests.image.bake import ROOT
from tests.image.instance import Instance

TEST_PACKAGES = (
    *("pytest", "pytest-asyncio", "pytest-timeout", "pluggy", "iniconfig", "packaging", "pygments"),
    *("blockbuster", "forbiddenfruit", "trustme", "types-aiobotocore-s3"),
)
"""In Python alone, so that what is installed here runs there too. The product itself is the image's."""


def copy_packages(directory: Path) -> None:
    for name in TEST_PACKAGES:
        for file in distribution(name).files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                assert file.suffix != ".so", f"{name} is compiled"
                (directory / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), directory / file)


def test_slow_readers_get_the_right_bytes(instances: tuple[Instance, Instance]) -> None:
    """Plain and by TLS."""
    machine, tree = instances[1].machine, instances[1].tree
    copy_packages(tree / "srv/test-packages")
    for name in ("tests", "bench", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tree / "srv/test" / name)
    said = machine.run(
        "cd /srv/test && PYTHONPATH=/srv/test-packages PYTHONDONTWRITEBYTECODE=1 /opt/bucketzip/bin/python -m pytest"
        " -p no:cacheprovider tests/web/test_clients.py -k never_used_again -v",
        timeout_seconds=600,
    )
    assert "Python 3.13." in said
    assert "2 passed" in said, said
