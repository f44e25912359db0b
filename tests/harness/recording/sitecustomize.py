"""Imported by each Python that the tests start while codes are recorded: see `tests.harness.recording`."""

import contextlib
import functools
import json
import os
import sys
from importlib.machinery import PathFinder

VARIABLE = "TESTS_RECORD_CODES"

#: The module that ends every command.
COMMANDS = "gfattach.cli.execute"


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


def noting(directory):
    """Appends what is noted to this process's own file in `directory`."""

    def note(code, seen, why, hints) -> None:
        line = json.dumps({"code": code, "seen": seen, "why": why, "hints": [*map(str, hints)]})
        with contextlib.suppress(OSError), open(f"{directory}/{os.getpid()}.jsonl", "a") as file:  # noqa: PTH123
            file.write(line + "\n")

    return note


def install(directory) -> None:
    """Have what every command of this process says, and every error, noted in `directory`."""
    from gfattach.core import errors

    note, made = noting(directory), errors.GfattachError.__init__

    @functools.wraps(made)
    def init(self, *args, **kwargs) -> None:
        made(self, *args, **kwargs)
        note(self.code, self.fact, "", self.hints)

    errors.GfattachError.__init__ = init  # type: ignore[method-assign]
    if COMMANDS in sys.modules:
        show(sys.modules[COMMANDS], note)
    else:
        sys.meta_path.insert(0, Later(note))


def show(execute, note) -> None:
    """Have the module that ends every command note what its document says."""
    rendered = execute._render

    @functools.wraps(rendered)
    def render(command, output, report, outcome, error, file) -> None:
        for each in told(execute._document(command, report, outcome, error)):
            note(*each)
        rendered(command, output, report, outcome, error, file)

    execute._render = render


class Later:
    """`show`, once that module is imported: a process that runs no command loads nothing for it."""

    def __init__(self, note) -> None:
        self.note = note

    def find_spec(self, name, path=None, target=None):
        if name != COMMANDS:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        executed = spec.loader.exec_module

        def exec_module(module) -> None:
            executed(module)
            show(module, self.note)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ.get(VARIABLE):
    install(os.environ[VARIABLE])
