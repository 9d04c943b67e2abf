"""`a.zip.part`: an archive that is not here whole yet, in such a way that it can go on after anything.

Beside it a note (`local/note.py`) says of which archive it is, and how much of it is safe on the disk: what came after
that may be missing after a loss of power, though the file be longer. So bytes are brought to the disk before the note
says so, and a note that takes something back is brought there before the first byte. All of it blocks: for a thread.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bucketzip.archive.crc import crc32
from bucketzip.local import CannotSave
from bucketzip.local.note import NOTHING, Made, Note
from bucketzip.transfer.fetch import Piece

READ_BYTES = 1 << 20


class PartFile:
    """Open for writing at `length`, behind what is there of this archive, whose `size` is told in bytes if it is known.

    Raises CannotSave, also where another process is at it.
    """

    def __init__(self, destination: Path, of: Made, size: int | None) -> None:
        self.destination = destination
        self.path, self._note_path = _paths(destination)
        self.length = 0
        self.safe = 0
        """Bytes of it that are on the disk, whatever happens."""
        self.checkpoints: tuple[bytes, ...] = ()
        """Of a compressed archive; they lead to where the file ends."""
        self.why_anew: str | None = None
        """What was there is of no use for this archive; None where nothing was, or where it is."""
        with _told(self.path), ExitStack() as opened:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            opened.callback(os.close, self._file)
            _lock(self._file, self.path)
            self._note = Note(self._note_path)
            opened.callback(self._note.close)
            self._take(of, size)
            self._opened = opened.pop_all()

    def write(self, piece: Piece) -> None:
        """Put it behind what is there."""
        with _told(self.path):
            view = memoryview(piece)
            while view:
                count = os.pwrite(self._file, view, self.length)
                self.length += count
                view = view[count:]

    def sync(self, length: int, checkpoint: bytes = b"") -> None:
        """Have so much of it on the disk, and note that; of a compressed archive, with the checkpoint of there."""
        if length > self.safe:
            with _told(self.path):
                os.fdatasync(self._file)
                self._note.keep(length, checkpoint)
            self.safe = length

    def crc(self, start: int, stop: int) -> int:
        """Of bytes that are there."""
        crc = 0
        with _told(self.path):
            for at in range(start, stop, READ_BYTES):
                crc = crc32(os.pread(self._file, min(READ_BYTES, stop - at), at), crc)
        return crc

    def drop(self) -> None:
        """Nothing of it is of any use."""
        with _told(self.path):
            os.ftruncate(self._file, 0)
            self._note.begin(NOTHING._replace(of=self._of))

    def finish(self, *, replace: bool) -> None:
        """It is whole: give it its name, durably. Raises CannotSave where that has been taken meanwhile."""
        with _told(self.destination):
            os.fsync(self._file)
            if self.destination.exists() and not replace:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            if not _is_at(self.path, self._file):  # what is there now is of somebody else, and perhaps not whole
                raise CannotSave(f"{self.path}: somebody has removed it; begin again")
            self.path.rename(self.destination)
            _sync_folder(self.destination)
            self._note_path.unlink()

    def close(self) -> None:
        """Let go of it: another process may go on."""
        self._opened.close()

    def _take(self, of: Made, size: int | None) -> None:
        there = os.fstat(self._file).st_size
        noted = self._note.read(there)
        if noted.of != of:
            self.why_anew = _why_anew(noted.of, of) if there else None
            noted = NOTHING._replace(of=of)
        if size is not None:
            noted = noted._replace(safe=min(noted.safe, size))
            self._check_room(size)
        os.ftruncate(self._file, noted.safe)
        self._note.begin(noted)
        _sync_folder(self.path)
        self._of = of
        self.length = self.safe = noted.safe
        self.checkpoints = noted.checkpoints

    def _check_room(self, size: int) -> None:
        """Before anything is read: the exact length is known."""
        disk = os.fstatvfs(self._file)
        room = disk.f_bavail * disk.f_frsize + os.fstat(self._file).st_blocks * 512  # those of what is there
        if size > room and disk.f_blocks:  # some file systems do not know
            if not os.fstat(self._file).st_size:  # nothing of it is here
                self._note_path.unlink()
                self.path.unlink()
            raise CannotSave(
                f"{self.destination}: the archive has {size:,} bytes, and there is room for {room:,} on that disk"
            )


def is_begun(destination: Path) -> bool:
    """Whether something of it is there, but not all."""
    return _paths(destination)[0].exists()


def discard(destination: Path) -> None:
    """Remove what is there of a file that is not whole; raises CannotSave where another process is writing it."""
    path, note_path = _paths(destination)
    with _told(path), ExitStack() as opened:
        with suppress(FileNotFoundError):
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            opened.callback(os.close, file)
            _lock(file, path)
        note_path.unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _paths(destination: Path) -> tuple[Path, Path]:
    """Of what is there, and of the note about it."""
    name = destination.name
    return destination.with_name(f"{name}.part"), destination.with_name(f"{name}.part.json")


def _why_anew(noted: Made | None, of: Made) -> str:
    if noted is None:
        return "nothing says of what it is"
    if noted.way != of.way:
        return f"it is of an archive made otherwise ({noted.way})"
    return "it is of an archive of other content"


def _lock(file: int, path: Path) -> None:
    """Until it is closed; raises CannotSave."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotSave(f"{path}: another process is writing it") from error
    if not _is_at(path, file):
        raise CannotSave(f"{path}: another process has just finished it")


def _is_at(path: Path, file: int) -> bool:
    """Whether the open file is still what is called so."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _sync_folder(path: Path) -> None:
    """Have the names in the folder of a file on the disk."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong with the file, in words."""
    try:
        yield
    except OSError as error:
        raise CannotSave(f"{path}: {error.strerror}") from error
