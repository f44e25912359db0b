"""httpx, without its command line: that would load click, rich and pygments, which no request needs.

The library goes on without it where it cannot be imported, as where these packages are not installed.
"""

from __future__ import annotations

import sys

_COMMAND_LINE = "httpx._main"

_kept_out = _COMMAND_LINE not in sys.modules
if _kept_out:
    sys.modules[_COMMAND_LINE] = None  # type: ignore[assignment]  # "import of it halted", as the import system says

import httpx  # noqa: E402

if _kept_out:
    del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
