"""Imported by each Python that the tests start while codes are recorded: see `tests.harness.recording`."""

import contextlib
import functools
import json
import os

VARIABLE = "TESTS_RECORD_CODES"


def install(directory) -> None:
    """Have every finding and every error of this process appended to a file of its own in `directory`."""
    from gfattach.core import errors, finding

    def note(code, seen, why, hints) -> None:
        line = json.dumps({"code": code, "seen": seen, "why": why, "hints": [*map(str, hints)]})
        with contextlib.suppress(OSError), open(f"{directory}/{os.getpid()}.jsonl", "a") as file:  # noqa: PTH123
            file.write(line + "\n")

    def wrap(kind, told) -> None:
        made = kind.__init__

        @functools.wraps(made)
        def init(self, *args, **kwargs) -> None:
            made(self, *args, **kwargs)
            note(*told(self))

        kind.__init__ = init

    wrap(finding.Finding, lambda made: (made.code, made.seen, made.why, made.hints))
    wrap(errors.GfattachError, lambda made: (made.code, made.fact, "", made.hints))


if os.environ.get(VARIABLE):
    install(os.environ[VARIABLE])
