"""Imported by each Python that the tests start while codes are recorded: see `tests.harness.recording`."""

import contextlib
import functools
import json
import os

VARIABLE = "TESTS_RECORD_CODES"


def told(value):
    """Every code in a command's document, with what was seen, why and the hints."""
    if isinstance(value, dict):
        code, seen = value.get("code"), value.get("seen") or value.get("fact") or value.get("sentence")
        if isinstance(code, str) and isinstance(seen, str):
            hints = value.get("hints") or value.get("next") or value.get("takes") or ()
            yield code, seen, str(value.get("why") or ""), hints
        value = list(value.values())
    for each in value if isinstance(value, (list, tuple)) else ():
        yield from told(each)


def install(directory) -> None:
    """Have what every command of this process says, and every error, appended to a file of its own."""
    from gfattach.cli import execute
    from gfattach.core import errors

    def note(code, seen, why, hints) -> None:
        line = json.dumps({"code": code, "seen": seen, "why": why, "hints": [*map(str, hints)]})
        with contextlib.suppress(OSError), open(f"{directory}/{os.getpid()}.jsonl", "a") as file:  # noqa: PTH123
            file.write(line + "\n")

    made, rendered = errors.GfattachError.__init__, execute._render

    @functools.wraps(made)
    def init(self, *args, **kwargs) -> None:
        made(self, *args, **kwargs)
        note(self.code, self.fact, "", self.hints)

    @functools.wraps(rendered)
    def render(command, output, report, outcome, error, file) -> None:
        for each in told(execute._document(command, report, outcome, error)):
            note(*each)
        rendered(command, output, report, outcome, error, file)

    errors.GfattachError.__init__ = init  # type: ignore[method-assign]
    execute._render = render


if os.environ.get(VARIABLE):
    install(os.environ[VARIABLE])
