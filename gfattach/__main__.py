"""`python -m gfattach`, and what the `gfattach` command runs."""

from __future__ import annotations

import gc
import os
import sys

#: Objects made before the collector looks at the youngest, and looks at those before it looks at older ones.
#: What imports make stays: Python's own 700, 10, 10 spend a tenth of a short command on going through it.
_COLLECT = (50_000, 20, 100)


def main() -> None:
    """Run the command line and exit with its code."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _open_what_is_closed()
    if sys.argv[1:3] == ["credential", "get"] and not {"-h", "--help"} & {*sys.argv[3:]}:
        # Bazel asks this in the midst of a build: it waits neither for the machinery of commands nor for
        # a collector that would find nothing (a twentieth of the answer).
        gc.disable()
        from gfattach.credential.helper import main as get

        sys.exit(get(sys.argv[3:], os.environ, sys.stdin.buffer, sys.stdout, sys.stderr))
    gc.set_threshold(*_COLLECT)
    from gfattach.cli.main import run
    from gfattach.cli.streams import make_writable

    make_writable()
    sys.excepthook = _redacted
    sys.exit(run())


def _open_what_is_closed() -> None:
    """Give a process that was started without one of its three streams the null device in its place: the
    next file or socket would have that number, and be what a child writes to.
    """
    opened = 0
    while opened < 3:
        opened = os.open(os.devnull, os.O_RDWR)
    os.close(opened)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _redacted(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """What Python shows of a defect that somebody asked to see (GFATTACH_DEBUG), without secrets in it."""
    import traceback

    from gfattach.core.redact import redact

    sys.stderr.write(redact("".join(traceback.format_exception(error))))


if __name__ == "__main__":
    main()
