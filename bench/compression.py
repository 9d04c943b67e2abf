"""`deflate`: what compression costs and saves, beside those that people zip with.

Every contender makes one archive of the same files, which lie in the kernel's cache, and all cores are free for it. It
is checked by Python's zipfile, which unpacks it. Nobody reads from S3 or sends anything here: the others could not.
bucketzip also has rows with one core alone: they tell how it scales with cores.
"""

import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from random import Random
from statistics import median

from bench.session import Session, load_warning
from bench.table import Row, ratio, render

MIB = 1 << 20
PEERS = ("zipfile", "zip", "7z", "zipstream-ng")
_BASE = "zipfile"
_LARGE_BYTES, _QUICK_LARGE_BYTES = 128 * MIB, 8 * MIB
_COLUMNS = ("MB/s", "CPU s/GB", "size", "speed", "size", "CPU")
_CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class _Contender:
    name: str
    command: Sequence[str]
    """`{root}` and `{out}` stand for the folder and the archive; without `{out}` it comes on standard output."""


@dataclass(frozen=True, slots=True)
class _Round:
    seconds: float
    cpu_seconds: float
    out_bytes: int


def _ours(level: str, cores: int) -> _Contender:
    name = f"bucketzip {level}, {cores} core{'s' * (cores > 1)}"
    return _Contender(name, (sys.executable, "-m", "bench.deflating", "{root}", level, str(cores)))


def _contenders(peers: Sequence[str], levels: Sequence[str]) -> list[_Contender]:
    python = (sys.executable, "-m", "bench.peers.zip_files")
    known = {
        "zipfile": _Contender("zipfile", (*python, "zipfile", "{root}")),
        "zip": _Contender("zip -r", ("zip", "-qr", "-", ".")),
        "7z": _Contender("7z -mx1", ("7z", "a", "-tzip", "-mx1", "-bd", "{out}", ".")),
        "zipstream-ng": _Contender("zipstream-ng", (*python, "zipstream-ng", "{root}")),
    }
    ours = [_ours(level, cores) for level in levels for cores in sorted({1, _CORES})]
    return [known[_BASE], *ours, *(known[name] for name in peers if name in known and name != _BASE)]


def _texts() -> Iterator[Path]:
    """What a Debian with this Python has: licences, copyright notices, and the standard library's source."""
    yield from sorted(Path("/usr/share/common-licenses").glob("*"))
    yield from sorted(Path("/usr/share/doc").glob("*/copyright"))
    yield from sorted(Path(os.__file__).parent.rglob("*.py"))


def _programs() -> Iterator[Path]:
    for folder in ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"):
        yield from sorted(path for path in Path(folder).glob("*") if path.is_file() and not path.is_symlink())


def _contents(paths: Iterator[Path]) -> list[bytes]:
    return [content for path in paths if path.is_file() and len(content := path.read_bytes()) > 100]


def _fill(root: Path, contents: Sequence[bytes], total_bytes: int, large_bytes: int, extension: str) -> None:
    """Half of it in files as they are, again and again, half of it joined into large ones."""
    root.mkdir(parents=True)
    endless = cycle(contents)
    written = 0
    for number, content in enumerate(endless):
        folder = root / f"{number // 1000}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}{extension}").write_bytes(content)
        written += len(content)
        if written >= total_bytes // 2:
            break
    for number in range(max(1, total_bytes // 2 // large_bytes)):
        with (root / f"large-{number}{extension}").open("wb") as file:
            while file.tell() < large_bytes:
                file.write(next(endless))


def _make_text(root: Path, total_bytes: int, large_bytes: int) -> None:
    _fill(root, _contents(_texts()), total_bytes, large_bytes, ".txt")


def _make_mixed(root: Path, total_bytes: int, large_bytes: int) -> None:
    """A third each of text, of programs, and of what stands for pictures: nothing shrinks less than random bytes."""
    third = total_bytes // 3
    _fill(root / "text", _contents(_texts()), third, min(large_bytes, third // 2), ".txt")
    _fill(root / "programs", _contents(_programs()), third, min(large_bytes, third // 2), "")
    pictures = [Random(number).randbytes(2 * MIB) for number in range(8)]
    _fill(root / "pictures", pictures, third, min(large_bytes, third // 2), ".jpg")


def _run_once(contender: _Contender, root: Path, out: Path) -> _Round:
    out.unlink(missing_ok=True)
    command = [part.format(root=root, out=out) for part in contender.command]
    to_file = any("{out}" in part for part in contender.command)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    began = time.perf_counter()
    with (Path(os.devnull) if to_file else out).open("wb") as stdout:
        process = subprocess.Popen(command, cwd=root, stdout=stdout, stderr=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise OSError(f"{command[0]} ended with status {process.returncode}")
    return _Round(seconds, usage.ru_utime + usage.ru_stime, out.stat().st_size)


def _check(out: Path, root: Path) -> None:
    """Every file is in it, with its bytes (which its CRC tells)."""
    expected = {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*") if path.is_file()}
    with zipfile.ZipFile(out) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
        found = {info.filename.removeprefix(f"{root.name}/"): info.file_size for info in files}
        if found != expected or archive.testzip() is not None:
            raise OSError("its archive is wrong")


def _measure(session: Session, contender: _Contender, root: Path) -> list[_Round]:
    out = session.directory("out.zip")
    _run_once(contender, root, out)  # a warm-up, and the one that is checked
    _check(out, root)
    rounds = [_run_once(contender, root, out) for _ in range(session.options.rounds)]
    out.unlink()
    return rounds


def run(session: Session) -> None:
    """A table for each set of files."""
    quick = session.options.quick
    total_bytes, large_bytes = (64 * MIB, _QUICK_LARGE_BYTES) if quick else (1024 * MIB, _LARGE_BYTES)
    sets = (("text", _make_text, ("1", "3", "4", "6")), ("mixed", _make_mixed, ("1", "3", "auto-3", "4", "6")))
    for name, make, levels in sets:
        root = session.directory(name)
        make(root, total_bytes, large_bytes)
        in_bytes = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        rows: list[Row] = []
        base: _Round | None = None
        for contender in _contenders(session.options.peers, levels):
            if shutil.which(contender.command[0]) is None:
                rows.append(Row(contender.name, problem=f"{contender.command[0]} is not installed"))
                continue
            try:
                rounds = _measure(session, contender, root)
            except (OSError, zipfile.BadZipFile) as error:
                rows.append(Row(contender.name, problem=f"failed: {error}"))
                continue
            typical = _Round(
                median(each.seconds for each in rounds),
                median(each.cpu_seconds for each in rounds),
                rounds[0].out_bytes,
            )
            base = base or typical
            session.record("deflate", {"set": name, "contender": contender.name, "rounds": [*map(asdict, rounds)]})
            rows.append(_row(contender.name, typical, base, in_bytes))
        files = sum(1 for path in root.rglob("*") if path.is_file())
        title = f"deflate: {in_bytes / MIB:,.0f} MiB of {name} in {files:,} files, {_CORES} cores"
        notes = ["the last three columns are beside zipfile, which compresses by zlib at its level 6"]
        print(render(title, _COLUMNS, rows, [*notes, *([warning] if (warning := load_warning()) else [])]))
        shutil.rmtree(root)


def _row(name: str, typical: _Round, base: _Round, in_bytes: int) -> Row:
    return Row(
        name,
        (
            f"{in_bytes / 1e6 / typical.seconds:,.0f}",
            f"{typical.cpu_seconds / in_bytes * 1e9:.1f}",
            f"{typical.out_bytes / in_bytes:.1%}",
            ratio(base.seconds, typical.seconds),
            ratio(typical.out_bytes, base.out_bytes),
            ratio(typical.cpu_seconds, base.cpu_seconds),
        ),
    )
