"""What a command takes, it uses: an option that is parsed and then forgotten misleads whoever gives it."""

import dis
import importlib

import click
import pytest

from gfattach.cli.registry import COMMANDS


def _commands():
    for name, registered in COMMANDS.items():
        command = getattr(importlib.import_module(registered.module), registered.attribute)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {word}", inner) for word, inner in command.commands.items())


def _own(function):
    """The function that the decorators of shared options wrap."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


@pytest.mark.parametrize(("name", "command"), list(_commands()), ids=[name for name, _ in _commands()])
def test_every_option_of_a_command_is_read_by_its_work(name, command):
    code = _own(command.callback).__code__
    loaded = set(_loaded(code))
    taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    assert [word for word in taken if word not in loaded] == []


def _loaded(code):
    """The local names that the code, or a function within it, reads."""
    for step in dis.get_instructions(code):
        if step.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE")):
            yield from step.argval if isinstance(step.argval, tuple) else (step.argval,)
    for inner in code.co_consts:
        if hasattr(inner, "co_code"):
            yield from _loaded(inner)
