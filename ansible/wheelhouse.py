"""Everything that the image installs by pip, in one tar: `python ansible/wheelhouse.py amd64|arm64`.

The target's Python decides which packages are needed, not this one's: uv resolves for it, held to the versions of
requirements.lock. The hashes are those of requirements.lock too, so nothing is fetched that was not there when it was
written. The same sources give the same tar.
"""

import argparse
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.13"
"""Of Debian 13."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
BIN = Path(sys.executable).parent


def main() -> None:
    """Make it, and print where it is."""
    parser = argparse.ArgumentParser(description="Make the tar of wheels that the image installs.")
    parser.add_argument("architecture", choices=MACHINES)
    architecture = parser.parse_args().architecture
    tar = ROOT / f"build/image/wheelhouse-{architecture}.tar"
    tar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheelhouse-") as name:
        directory = Path(name)
        needed = needed_packages(MACHINES[architecture])
        download(locked(needed), MACHINES[architecture], directory)
        pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", name, str(ROOT))
        pack(directory, tar)
    print(tar)


def needed_packages(machine: str) -> dict[str, str]:
    """Version by name, of what the product needs at run time on the target."""
    listed = subprocess.run(
        [
            *(BIN / "uv", "pip", "compile", "pyproject.toml", "--constraint", "requirements.lock"),
            *("--python-version", PYTHON, "--python-platform", f"{machine}-manylinux_2_28"),
            *("--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet"),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", listed, re.MULTILINE))


def locked(needed: dict[str, str]) -> str:
    """Their entries of requirements.lock, with the hashes and without the markers, which uv has judged."""
    entries = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text()):
        if found := re.match(r"([\w.-]+)==(\S+)[^\\\n]*", entry):
            hashes = re.findall(r"--hash=\S+", entry)
            entries[found[1], found[2]] = " ".join([f"{found[1]}=={found[2]}", *hashes])
    missing = sorted(f"{name}=={version}" for name, version in needed.items() if (name, version) not in entries)
    if missing:
        raise SystemExit(f"not in requirements.lock: {', '.join(missing)}; `make lock` writes it")
    return "".join(f"{entries[each]}\n" for each in sorted(needed.items()))


def download(requirements: str, machine: str, directory: Path) -> None:
    """By hash, and nothing that would have to be built. pip does not widen manylinux_2_28 to the older 2_17."""
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write(requirements)
        lock.flush()
        platforms = [f"--platform=manylinux_{version}_{machine}" for version in ("2_28", "2_17")]
        pip(
            *("download", "--no-deps", "--require-hashes", "--only-binary=:all:", f"--python-version={PYTHON}"),
            *(*platforms, "--dest", str(directory), "--requirement", lock.name),
        )


def pip(*arguments: str) -> None:
    """Run it."""
    options = ("--quiet", "--disable-pip-version-check")
    subprocess.run([BIN / "python", "-m", "pip", *arguments, *options], check=True)


def pack(directory: Path, tar: Path) -> None:
    """Files in the order of their names, without times and owners."""
    with tarfile.open(tar, "w") as packing:
        for path in sorted(directory.iterdir()):
            info = tarfile.TarInfo(path.name)
            content = path.read_bytes()
            info.size, info.mode = len(content), 0o644
            packing.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main()
