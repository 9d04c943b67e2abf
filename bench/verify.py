"""Whether an archive is right: what Info-ZIP says, and every name, size and CRC against what was written."""

import shutil
import subprocess
import zipfile
from pathlib import Path

from bench.processes import UnavailableError

#: Of unzip: to begin, and as from a slow disk beside other load.
_LEAST_LIMIT_SECONDS = 120
_LEAST_BYTES_PER_SECOND = 8 << 20


def verify(archive: Path, checksums: dict[str, tuple[int, int]]) -> None:
    """UnavailableError when it is not: a wrong archive is not worth timing.

    unzip reads every byte; where it is not installed zipfile does, the slower of the two. The central directory's CRCs
    are then compared with those of the objects, which a ZIP of wrong bytes with matching CRCs would not survive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            found = {info.filename.rpartition("/")[2]: (info.file_size, info.CRC) for info in opened.infolist()}
            broken = None if shutil.which("unzip") else opened.testzip()
    except zipfile.BadZipFile as error:
        raise UnavailableError(f"wrong archive: {error}") from error
    if broken:
        raise UnavailableError(f"wrong archive: {broken} is damaged")
    if found != checksums:
        differing = len(found.items() ^ checksums.items())
        raise UnavailableError(f"wrong archive: {len(found)} entries, {differing} names, sizes or CRCs differ")
    if shutil.which("unzip"):
        limit_seconds = _LEAST_LIMIT_SECONDS + archive.stat().st_size / _LEAST_BYTES_PER_SECOND
        test = subprocess.run(["unzip", "-tqq", archive], capture_output=True, timeout=limit_seconds, check=False)
        if test.returncode != 0:
            raise UnavailableError(f"wrong archive: unzip -t ended with status {test.returncode}")
