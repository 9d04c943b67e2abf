"""A folder into a deflated ZIP on standard output, as their documentations have it: `zipfile` or `zipstream-ng`."""

import sys
import zipfile
from pathlib import Path

from zipstream import ZipStream


def _zipfile(root: Path) -> None:
    with zipfile.ZipFile(sys.stdout.buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(root.rglob("*")):
            archive.write(path, path.relative_to(root))


def _zipstream(root: Path) -> None:
    stream = ZipStream(compress_type=zipfile.ZIP_DEFLATED)
    stream.add_path(root)
    sys.stdout.buffer.writelines(stream)


if __name__ == "__main__":
    {"zipfile": _zipfile, "zipstream-ng": _zipstream}[sys.argv[1]](Path(sys.argv[2]))
