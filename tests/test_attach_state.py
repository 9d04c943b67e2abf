"""`bucketzip attach-state` where it must do nothing, and where it cannot. The rest is in tests/image, with EC2."""

from pathlib import Path

from tests.test_cli import run


def test_without_a_volume_nothing_is_done(tmp_path: Path) -> None:
    assert run("attach-state", f"--state-dir={tmp_path}/state") == (0, "", "")
    assert not (tmp_path / "state").exists()


def test_what_is_no_volume_is_refused() -> None:
    status, _, said = run("attach-state", "--state-volume=sdf")
    assert status == 2
    assert "--state-volume: String should match pattern" in said
