"""`bucketzip firstboot`."""

from pathlib import Path

import pytest

from bucketzip.commands.firstboot import sizes
from tests.test_cli import run

GIB = 1 << 30


def test_secrets_are_made_once_and_never_shown(tmp_path: Path) -> None:
    arguments = ("firstboot", f"--state-dir={tmp_path}/state", f"--run-dir={tmp_path}/run", "--tls-self-signed=true")

    def made() -> dict[str, bytes]:
        secrets = ("instance.key", "initial-user.json", "tls/certificate.pem", "tls/key.pem")
        return {name: (tmp_path / "state" / name).read_bytes() for name in secrets}

    assert run(*arguments) == (0, "", "")
    first = made()
    assert run(*arguments) == (0, "", "")
    assert made() == first
    variables = dict(line.split("=") for line in (tmp_path / "run/sizes.env").read_text().splitlines())
    assert set(variables) == {"BUCKETZIP_PROCESSES", "BUCKETZIP_MEMORY_BYTES"}


@pytest.mark.parametrize(
    ("cores", "gib", "processes", "mib"),
    [(2, 0.5, 3, 48), (2, 2, 3, 519), (2, 8, 3, 2976), (16, 32, 17, 11407), (4, 64, 5, 5120)],
)
def test_sizes_fit_the_machine(cores: int, gib: float, processes: int, mib: int) -> None:
    found, memory_bytes = sizes(cores, int(gib * GIB))
    assert (found, memory_bytes >> 20) == (processes, mib)
