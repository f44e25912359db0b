"""Run the benchmarks, and make docs/benchmarks.md and its pictures of what they find.

    .venv/bin/python -m benchmarks                 all of them; about an hour
    .venv/bin/python -m benchmarks startup growth  these; of the others the page keeps what it has
    .venv/bin/python -m benchmarks --page          only the page, of what was found before

Each runs as a process of its own, one after another. What they found is kept in docs/benchmarks.json, from
which alone the page is made. Ends with 1 where a limit is broken or a benchmark failed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import page, pictures
from benchmarks.figures import VARIABLE

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "docs/benchmarks.json"
PAGE = ROOT / "docs/benchmarks.md"
PICTURES = ROOT / "docs/pictures"

#: The benchmarks by name, in the order of the page: the words after the interpreter.
BENCHMARKS: dict[str, list[str]] = {
    "first_hit": ["benchmarks/first_hit.py"],
    "own_share": ["benchmarks/own_share.py"],
    "startup": ["benchmarks/startup.py"],
    "forward": ["benchmarks/forward.py"],
    "growth": ["benchmarks/growth.py"],
    "bazel_wrapper": ["benchmarks/bazel_wrapper.py"],
    "credential_get": ["benchmarks/credential_get.py"],
    "inputs": ["benchmarks/inputs.py"],
    "queue": ["benchmarks/ci_queue.py"],
    "rbe_verify": ["benchmarks/rbe_verify.py"],
    "doctor": ["benchmarks/doctor.py"],
    "dead_cache": ["-m", "benchmarks.dead_cache"],
    "kills": ["-m", "tests.harness.kills"],
    "soak": ["benchmarks/soak.py"],
    "year": ["-m", "tests.harness.year"],
}

#: Programs whose version belongs to a figure, and how each is asked.
_PROGRAMS = {
    "Bazel": ["bazel", "--version"],
    "Nix": ["nix-store", "--version"],
    "kubectl": ["kubectl", "version", "--client"],
}


def main() -> int:
    """Run what is asked for; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}")
    parser.add_argument("--page", action="store_true", help="run nothing")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    failed = False
    for name in () if options.page else options.names or BENCHMARKS:
        print(f"== {name}", flush=True)
        entry, code = run(name)
        failed |= code != 0
        if entry is None:
            print(f"{name} ended with {code} and found nothing; the page keeps what it has", file=sys.stderr)
            continue
        record = found_before() | {name: entry}
        RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    record = found_before()
    drawn = pictures.draw(record, PICTURES)
    PAGE.write_text(page.render(record, drawn), encoding="utf-8")
    return 1 if failed else 0


def found_before() -> dict[str, Any]:
    """The record: another run may have added to it since."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    return record


def run(name: str) -> tuple[dict[str, Any] | None, int]:
    """One benchmark: what the record has of it, None where it found nothing, and its exit code."""
    with tempfile.TemporaryDirectory(prefix="gfattach-bench.") as place:
        file = Path(place) / "figures.json"
        environment = os.environ | {VARIABLE: str(file), "PYTHONPATH": str(ROOT)}
        before = os.getloadavg()[0]
        code = subprocess.call([sys.executable, *BENCHMARKS[name]], cwd=ROOT, env=environment)
        if not file.exists():
            return None, code
        results = json.loads(file.read_text(encoding="utf-8"))
    entry = {
        "command": " ".join(["python", *BENCHMARKS[name]]),
        "date": datetime.date.today().isoformat(),
        "load": [round(before, 1), round(os.getloadavg()[0], 1)],
        "machine": machine(),
        "versions": versions(),
        "results": results,
    }
    return entry, code


def machine() -> str:
    """The class of this machine: what a figure depends on, and nothing that names it."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    system = os.uname()
    return f"{os.cpu_count()} cores, {pages:.0f} GiB, {system.sysname} {system.machine}"


def versions() -> dict[str, str]:
    """What was measured, and with what."""
    found = {"gfattach": _said(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"])}
    found["Python"] = ".".join(map(str, sys.version_info[:3]))
    for name, command in _PROGRAMS.items():
        said = _said(command)
        version = re.search(r"\d+\.\d+\.\d+", said)
        # Debian's Bazel has none.
        found[name] = version[0] if version else "without a version" if said else ""
    return {name: said for name, said in found.items() if said}


def _said(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
