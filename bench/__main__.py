"""`python -m bench [streaming|latency|...|all]`: see README.md in this directory, or `--help`."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import archives, clients, compression, latency, planning, resume, scale, streaming, tail
from bench.archiving import PEERS as ARCHIVERS
from bench.contenders.choice import PEER_NAMES as STREAMERS
from bench.session import ORIGINS, Options, Session, describe_machine

_PEERS = tuple(dict.fromkeys((*STREAMERS, *ARCHIVERS, *compression.PEERS)))

_BENCHMARKS: dict[str, Callable[[Session], None]] = {
    "streaming": streaming.run,
    "latency": latency.run,
    "planning": planning.run,
    "tls": lambda session: streaming.run(session, tls=True),
    "clients": clients.run,
    "tail": tail.run,
    "resume": resume.run,
    "archives": archives.run,
    "scale": scale.run,
    "deflate": compression.run,
}


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Comma-separated names out of `known`; `none` is no name at all."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = () if text == "none" else tuple(text.split(","))
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return chosen

    return parse


def _arguments() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "bucketzip-bench"
    parser = argparse.ArgumentParser(prog="python -m bench", description="bucketzip beside its peers")
    parser.add_argument("benchmark", nargs="?", default="all", choices=[*_BENCHMARKS, "all"])
    parser.add_argument("--quick", action="store_true", help="smaller sets, one round: does it run at all")
    parser.add_argument("--rounds", type=int, metavar="N", help="measured rounds after the warm-up (3, quick 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there as well")
    parser.add_argument(
        "--peers",
        type=_names(_PEERS),
        default=_PEERS,
        metavar="A,B",
        help=f"beside bucketzip, which always runs: {','.join(_PEERS)}, or none",
    )
    parser.add_argument(
        "--origins", type=_names(ORIGINS), default=ORIGINS, metavar="A,B", help=f"read from: {','.join(ORIGINS)}"
    )
    parser.add_argument(
        "--line",
        type=int,
        metavar="MBIT",
        help="archives: the store is behind a line of that many Mbit/s in each direction (root)",
    )
    parser.add_argument(
        "--work", type=Path, default=cache, metavar="DIR", help="needs 6 GiB free; keeps the npm packages"
    )
    parser.add_argument("--keep", action="store_true", help="leave the run's directory: logs, nginx.conf, objects")
    arguments = parser.parse_args()
    if not arguments.origins:
        parser.error("--origins needs at least one")
    return arguments


def main() -> None:
    """Run what was asked for; Ctrl-C and SIGTERM still stop every child and delete the run's directory."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    arguments.work.mkdir(parents=True, exist_ok=True)
    rounds = arguments.rounds or (1 if arguments.quick else 3)
    options = Options(arguments.quick, arguments.peers, arguments.origins, rounds, arguments.line)
    run = Path(tempfile.mkdtemp(prefix="run-", dir=arguments.work)).resolve()
    session = Session(options, arguments.work.resolve(), run)
    print(", ".join(f"{name}: {value}" for name, value in describe_machine().items()))
    chosen = _BENCHMARKS if arguments.benchmark == "all" else (arguments.benchmark,)
    try:
        for name in chosen:
            _BENCHMARKS[name](session)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    finally:
        if arguments.json:
            session.write_json(arguments.json)
        if arguments.keep:
            print(f"\nkept: {run}")
        else:
            shutil.rmtree(run)


if __name__ == "__main__":
    main()
