"""Starting the command in processes of its own, without each of them importing everything anew.

A process that has imported the command forks for every run; the child has the run's arguments, environment
and working directory, and calls what `python -m gfattach` calls.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

#: Seconds for one run of the command, which bounds itself by far less.
SECONDS = 240


class Starter:
    """The process that forks; ended with the context."""

    def __enter__(self) -> Starter:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.starter"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.TemporaryDirectory(prefix="gfattach-run-") as place:
            request = {
                "arguments": list(arguments),
                "environment": dict(environment),
                "directory": str(directory),
                "place": place,
            }
            print(json.dumps(request), file=self._process.stdin, flush=True)
            code = int(self._process.stdout.readline())
            said = [(Path(place) / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess([*arguments], code, *said)


def _serve() -> None:
    import importlib
    import pkgutil

    import gfattach

    for name in ("grpc", "httpx", "h11", "cryptography.x509"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(gfattach.__path__, "gfattach."):
        if not module.name.endswith("__main__") and not module.name.startswith("gfattach.trial"):
            importlib.import_module(module.name)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _become(request: Mapping[str, Any]) -> None:
    """Be the command, in this process."""
    code: Any = 1
    try:
        signal.alarm(SECONDS)
        for number, name, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, f"{request['place']}/stdout", os.O_WRONLY | os.O_CREAT),
            (2, f"{request['place']}/stderr", os.O_WRONLY | os.O_CREAT),
        ):
            os.dup2(os.open(name, flags), number)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["directory"])
        sys.argv = ["gfattach", *request["arguments"]]
        from gfattach.__main__ import main

        code = main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    _serve()
