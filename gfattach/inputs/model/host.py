"""What the machine is called that an observation was made on."""

from __future__ import annotations

import sys


def platform_name() -> str:
    """The platform that is observed, as the contract names it: `linux-x86_64`."""
    import platform

    return f"{sys.platform}-{platform.machine()}"
