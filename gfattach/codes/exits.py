"""The exit code of each error's code: that of the class which carries it (`gfattach.core.errors`).

`exits.json` is made from the sources, by `python -m tests.harness.recording.exits`, and a test holds it to
them: what raises an error says its class and its code in one place, and no table says it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from gfattach.core.errors import ExitCode

FILE = Path(__file__).with_name("exits.json")


@cache
def exit_codes() -> Mapping[str, ExitCode]:
    """By code of an error, what a command ends with that ends in it."""
    return {
        code: ExitCode[name]
        for name, codes in json.loads(FILE.read_text(encoding="utf-8")).items()
        for code in codes
    }
