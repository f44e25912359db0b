"""`python -m gfattach.trial`: the process that serves the embedded caches. Started by the supervisor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gfattach.core.daemon.readiness import served
from gfattach.trial.serve import ServeOptions, serve
from gfattach.trial.state import DEFAULT_IDLE_HOURS, DEFAULT_MAX_BYTES


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, and return the exit code; an error goes to standard output as one line of JSON."""
    options = _parse(arguments)
    return served(lambda: serve(options), options.directory)


def _parse(arguments: Sequence[str] | None) -> ServeOptions:
    parser = argparse.ArgumentParser(prog="python -m gfattach.trial", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True, metavar="DIR", help="what the caches keep")
    parser.add_argument("--bazel-port", type=_port, metavar="N", help="port of the Bazel cache")
    parser.add_argument("--nix-port", type=_port, metavar="N", help="port of the Nix cache")
    parser.add_argument(
        "--max-bytes", type=int, default=DEFAULT_MAX_BYTES, metavar="N", help="bytes for the Bazel cache"
    )
    parser.add_argument(
        "--idle-hours", type=float, default=DEFAULT_IDLE_HOURS, metavar="H", help="hours to wait for any use"
    )
    given = parser.parse_args(arguments)
    return ServeOptions(
        given.directory.absolute(), given.bazel_port, given.nix_port, given.max_bytes, given.idle_hours
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise ValueError
    return port


if __name__ == "__main__":
    sys.exit(main())
