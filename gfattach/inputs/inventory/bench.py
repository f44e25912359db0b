"""The workbench of a command: the Bazel at hand, in its workspace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gfattach.bazel.program.binary import IDENTIFY_SECONDS, INSTALL_HINT, identify, locate
from gfattach.contract.model.variables import HEADER_VARIABLES
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ProgramMissingError
from gfattach.credential.sources import TOKEN_VARIABLE
from gfattach.inputs.inventory.observe import Workbench, workbench
from gfattach.inputs.place import InputsOptions
from gfattach.site.allow import demand_wrapper


@contextmanager
def bench_of(options: InputsOptions) -> Iterator[Workbench]:
    """A workbench with the Bazel at hand.

    Raises RefusedError (`site.unallowed`), ProgramMissingError, UsageError, BazelError and StorageError.
    """
    root = options.root
    demand_wrapper(root)
    program = locate(options.bazel, options.environ)
    if program is None:
        raise ProgramMissingError("there is no Bazel on PATH, and BAZEL_BIN names none", INSTALL_HINT)
    bazel = identify(program, Deadline.after(IDENTIFY_SECONDS), workspace=root, environ=options.environ)
    secrets = {*HEADER_VARIABLES, TOKEN_VARIABLE}
    environment = {name: value for name, value in options.environ.items() if name not in secrets}
    home = options.home
    work = home.work.with_name(f"{home.key}-inputs")
    with workbench(bazel, root, work, environment, options.bazel_options) as bench:
        yield bench
