"""State directories of commands that do one thing: who has them, and what stays."""

from pathlib import Path

import pytest

from bucketzip.state.workspaces import WorkspaceTaken, kept, thrown_away


def test_it_stays_until_its_work_is_over(tmp_path: Path) -> None:
    with kept(tmp_path, "name") as first:
        assert first.new
        (first.path / "file").write_text("text")
    with kept(tmp_path, "name") as second:
        assert not second.new
        assert (second.path / "file").read_text() == "text"
        second.over = True
    assert not second.path.exists()


def test_an_error_does_not_remove_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), kept(tmp_path, "name") as workspace:
        raise RuntimeError
    assert workspace.path.exists()


def test_one_process_has_it(tmp_path: Path) -> None:
    with (
        kept(tmp_path, "name"),
        kept(tmp_path, "other"),
        pytest.raises(WorkspaceTaken, match="the same command is running already"),
        kept(tmp_path, "name"),
    ):
        pass
    with kept(tmp_path, "name"):
        pass


def test_what_is_thrown_away_is_swept_where_nobody_has_it(tmp_path: Path) -> None:
    with thrown_away(tmp_path) as first:
        (first.path / "file").write_text("text")
        (first.path.parent / "once-dead").mkdir()
        with thrown_away(tmp_path) as second:
            assert second.path != first.path
            assert {path.name for path in first.path.parent.iterdir()} == {first.path.name, second.path.name}
    assert not list(first.path.parent.iterdir())
