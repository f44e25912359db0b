"""An environment with gfattach for a Python that the tests fetched, kept from run to run."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.harness.programs.installed import Installed
from tests.harness.programs.place import kept_directory

#: What the unit suites that are run in it want besides gfattach's own dependencies.
_TESTING = ("pytest", "hypothesis", "pytest-subprocess", "websockets")

#: Seconds that one call of pip may take.
_PIP_SECONDS = 3600.0

#: Written last: an environment without it is begun again.
_STAMP = "made"


def ensure(python: Installed, root: Path) -> Path:
    """The interpreter of an environment of `python` in which gfattach is installed from the tree at `root`.

    It is kept by what decides on its contents. Raises subprocess.CalledProcessError with what pip said.
    """
    constraints = root / "constraints.txt"
    inputs = constraints.read_bytes() + (root / "pyproject.toml").read_bytes()
    key = hashlib.sha256(inputs + str(python.launcher).encode() + bytes(root)).hexdigest()[:16]
    place = kept_directory() / "environments" / python.name
    made = place / key
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / _STAMP).exists():
            shutil.rmtree(made, ignore_errors=True)
            _run(str(python.launcher), "-m", "venv", str(made))
            pip = [str(made / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run(*pip, "--constraint", str(constraints), "--editable", str(root), *_TESTING)
            (made / _STAMP).touch()
    return made / "bin/python"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PIP_SECONDS)
