"""Facts of a machine that its operating system tells: disk, inodes, memory, descriptors, kernel.

Nothing is written and no program is run. What a system does not tell is None.
"""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from msgspec import Struct

from gfattach.core.value import Redacted

#: Bytes that a path of a unix socket may have, its end included (sun_path of unix(7)).
SOCKET_PATH_BYTES = 108


class Disk(Struct, frozen=True):
    """One file system: where it was looked at, free and all bytes, free inodes (None where it has none)."""

    path: Path
    free: int
    total: int
    inodes: int | None
    read_only: bool


class MachineFacts(Redacted, frozen=True):
    """What a machine is and has. Sizes are bytes; `memory` is what may be had without swapping."""

    REDACTED: ClassVar = frozenset({"environ"})

    system: str
    architecture: str
    processors: int
    memory: int | None
    total_memory: int | None
    descriptors: int
    most_descriptors: int
    wsl: str | None
    disks: tuple[Disk, ...]
    socket_path: Path
    environ: Mapping[str, str] = {}


def read_facts(environ: Mapping[str, str], places: tuple[Path, ...], socket_path: Path) -> MachineFacts:
    """Look at this machine. `places` are directories that are written to; those that are not there yet are
    looked at where they would be made.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    meminfo = _meminfo()
    return MachineFacts(
        system=platform.system(),
        architecture=platform.machine(),
        processors=os.cpu_count() or 1,
        memory=meminfo.get("MemAvailable"),
        total_memory=meminfo.get("MemTotal"),
        descriptors=soft,
        most_descriptors=hard,
        wsl=_wsl(),
        disks=tuple(_disks(places)),
        socket_path=socket_path,
        environ=environ,
    )


def _disks(places: tuple[Path, ...]) -> list[Disk]:
    found: dict[int, Disk] = {}
    for place in places:
        there = next((path for path in (place, *place.parents) if path.is_dir()), None)
        if there is None:
            continue
        try:
            device, stat = there.stat().st_dev, os.statvfs(there)
        except OSError:
            continue
        free = stat.f_bavail * stat.f_frsize
        inodes = stat.f_favail if stat.f_files else None
        read_only = bool(stat.f_flag & os.ST_RDONLY)
        found.setdefault(device, Disk(there, free, stat.f_blocks * stat.f_frsize, inodes, read_only))
    return [*found.values()]


def _meminfo() -> dict[str, int]:
    """Bytes by the names of proc(5); nothing where there is no such file."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name: int(value.split()[0]) * 1024 for name, value in pairs if value.strip().endswith("kB")}


def _wsl() -> str | None:
    """The kernel's release where it is Microsoft's (Windows Subsystem for Linux); None elsewhere."""
    release = platform.release()
    return release if "microsoft" in release.lower() else None
