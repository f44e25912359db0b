"""The Pythons of other Debians: they run where they lie, and make environments with their own pip."""

from __future__ import annotations

from pathlib import Path

from tests.harness.programs import relocate
from tests.harness.programs.catalogue import PROGRAMS, Kind, Program

#: Where Debian keeps the pip of `python -m venv`, as its Pythons have it compiled in.
_WHEELS = "/usr/share/python-wheels"


def lay_out(root: Path, launcher: Path) -> None:
    """Have the Python `launcher` run in `root`, and make environments with the pip of the tree."""
    for file in root.glob("usr/lib/python3.*/_sysconfig*"):
        if not file.is_symlink():
            file.write_text(file.read_text().replace(f"{_WHEELS}/", f"{root}{_WHEELS}/"))
    relocate.wrap(root, launcher)


def of_version(version: str) -> Program | None:
    """The Python of `version` (`3.14`) in the catalogue; None where there is none."""
    named = f"python{version}"
    return next(
        (each for each in PROGRAMS if each.kind is Kind.PYTHON and Path(each.path).name == named), None
    )
