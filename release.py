#!/usr/bin/env python3
"""What a release consists of, made in one command: source distribution, wheel, and the SBOM of both.

    .venv/bin/python release.py [DIRECTORY]        (dist/ without one)

The wheel is built from the source distribution, so that the one proves the other whole. The SBOM (CycloneDX
1.6, JSON) lists what an installation of the wheel into an empty environment brings, in the versions of
constraints.txt. Needs the environment of the tests (`python3 dev.py test --co`), and the package index that
pip is set up for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main(args: list[str]) -> int:
    """Make everything in the directory that is named; the exit code."""
    directory = Path(args[0] if args else ROOT / "dist").resolve()
    directory.mkdir(parents=True, exist_ok=True)
    wheel = build(directory)
    sbom = write_sbom(wheel, directory)
    print("\n".join(str(each) for each in sorted([*directory.glob("gfattach-*.tar.gz"), wheel, sbom])))
    return 0


def build(directory: Path) -> Path:
    """The source distribution and, of that, the wheel; where the wheel is."""
    run("-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT))
    [wheel] = directory.glob("gfattach-*.whl")
    return wheel


def write_sbom(wheel: Path, directory: Path) -> Path:
    """The SBOM of an environment that holds the wheel and what it needs, and no pip."""
    made = directory / f"{'-'.join(wheel.name.split('-')[:2])}.cdx.json"
    with tempfile.TemporaryDirectory(prefix="gfattach-sbom-") as place:
        run("-m", "venv", "--without-pip", place)
        installation = [
            "--quiet",
            "--disable-pip-version-check",
            "--constraint",
            str(ROOT / "constraints.txt"),
        ]
        run("-m", "pip", "--python", f"{place}/bin/python", "install", *installation, str(wheel))
        listing = ["--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON"]
        project = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-file", str(made)]
        run("-m", "cyclonedx_py", "environment", *listing, *project, f"{place}/bin/python")
    # Where the wheel lay on the machine that built it is nobody's business.
    document = json.loads(made.read_text(encoding="utf-8"))
    for component in document["components"]:
        if component["name"] == "gfattach":
            component.pop("externalReferences", None)
    made.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return made


def run(*words: str) -> None:
    """Run a module of this Python; what it says is shown where it fails."""
    done = subprocess.run(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\n{' '.join(words)} ended with {done.returncode}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
