"""What this program was built from: the commit that the build wrote beside the package."""

from __future__ import annotations

from pathlib import Path

#: Written by `hatch_build.py` into a wheel and a source distribution; a checkout has none.
FILE = Path(__file__).parents[1] / "built_from"


def built_from() -> str:
    """`commit 0123456789ab`, that `with changes`, `an unknown commit`; or `a checkout`, which nobody
    has built.
    """
    try:
        return FILE.read_text(encoding="ascii").strip()
    except OSError:
        return "a checkout"
