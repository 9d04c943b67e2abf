"""`a.zip.part`: an archive that is not here whole yet, in such a way that it can go on after anything.

Beside it `a.zip.part.json` says of which archive it is (ETag), and how much of it is safe on the disk: what came after
that may be missing after a loss of power, though the file be longer. All of it blocks: for a thread.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bucketzip.archive.crc import crc32
from bucketzip.local import CannotSave
from bucketzip.transfer.fetch import Piece

READ_BYTES = 1 << 20
_NOTE_BYTES = 256
"""Of one length, so that a single write replaces it and no crash leaves half of one."""


class PartFile:
    """Open for writing at `length`, behind what is there of the archive with this ETag and `size` in bytes.

    Without an ETag the archive is one that cannot go on, and has no size before it is whole. Raises CannotSave, also
    where another process is at it.
    """

    def __init__(self, destination: Path, etag: str | None, size: int | None) -> None:
        self.destination = destination
        self.path, self._note_path = _paths(destination)
        self.length = 0
        self.why_anew: str | None = None
        """What was there is of no use for this archive; None where nothing was, or where it is."""
        self._etag = etag
        with _told(self.path):
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._take(size)
        except BaseException:
            os.close(self._file)
            raise

    def write(self, piece: Piece) -> None:
        """Put it behind what is there."""
        with _told(self.path):
            view = memoryview(piece)
            while view:
                count = os.pwrite(self._file, view, self.length)
                self.length += count
                view = view[count:]

    def sync(self) -> None:
        """Have what is there on the disk, and note that."""
        length = self.length
        with _told(self.path):
            os.fdatasync(self._file)
            note = json.dumps({"etag": self._etag, "bytes": length}).ljust(_NOTE_BYTES - 1) + "\n"
            os.pwrite(self._note, note.encode(), 0)

    def crc(self, start: int, stop: int) -> int:
        """Of bytes that are there."""
        crc = 0
        with _told(self.path):
            for at in range(start, stop, READ_BYTES):
                crc = crc32(os.pread(self._file, min(READ_BYTES, stop - at), at), crc)
        return crc

    def finish(self, *, replace: bool) -> None:
        """It is whole: give it its name, durably. Raises CannotSave where that has been taken meanwhile."""
        with _told(self.destination):
            os.fsync(self._file)
            if self.destination.exists() and not replace:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            self.path.rename(self.destination)
            self._note_path.unlink()
            folder = os.open(self.destination.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Let go of it: another process may go on."""
        os.close(self._note)
        os.close(self._file)

    def _take(self, size: int | None) -> None:
        with _told(self.path):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CannotSave(f"{self.path}: another process is writing it") from error
            if not os.path.samestat(os.fstat(self._file), self.path.stat()):  # it was finished just now
                raise CannotSave(f"{self.path}: another process has just finished it")
            there = os.fstat(self._file).st_size
            etag, safe = self._noted()
            if self._etag is None or size is None:
                self.why_anew = "a compressed archive cannot go on where it stopped" if there else None
            elif etag == self._etag:
                self.length = min(safe, there, size)
            elif there:
                self.why_anew = "nothing says of what it is" if etag is None else "it is of an archive of other content"
            if size is not None:
                self._check_room(size)
            os.ftruncate(self._file, self.length)
            self._note = os.open(self._note_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.sync()

    def _noted(self) -> tuple[str | None, int]:
        """The ETag of what is there, and how many bytes of it are safe."""
        try:
            note = json.loads(self._note_path.read_text())
            return note["etag"], int(note["bytes"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None, 0

    def _check_room(self, size: int) -> None:
        """Before anything is read: the exact length is known."""
        disk = os.fstatvfs(self._file)
        room = disk.f_bavail * disk.f_frsize + os.fstat(self._file).st_blocks * 512  # those of what is there
        if size > room and disk.f_blocks:  # some file systems do not know
            raise CannotSave(
                f"{self.destination}: the archive has {size:,} bytes, and there is room for {room:,} on that disk"
            )


def is_begun(destination: Path) -> bool:
    """Whether something of it is there, but not all."""
    return _paths(destination)[0].exists()


def discard(destination: Path) -> None:
    """Remove what is there of a file that is not whole."""
    for path in reversed(_paths(destination)):
        with _told(path):
            path.unlink(missing_ok=True)


def _paths(destination: Path) -> tuple[Path, Path]:
    """Of what is there, and of the note about it."""
    name = destination.name
    return destination.with_name(f"{name}.part"), destination.with_name(f"{name}.part.json")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong with the file, in words."""
    try:
        yield
    except OSError as error:
        raise CannotSave(f"{path}: {error.strerror}") from error
