"""Make `remote_cache_pb2.py` from `remote_cache.proto`: `python -m gfattach.reapi.generate`.

The compiler's version is fixed, and old: code that it generates is accepted by every
protobuf runtime from 4.25 on, where newer compilers' code refuses an older runtime. It is
installed into a temporary environment of its own for that. Only messages are generated:
methods are named where they are called and served, with their full names.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

COMPILER = "grpcio-tools==1.62.3"


def main() -> int:
    """Run protoc; its exit code."""
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = Path(scratch) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", COMPILER, "setuptools<70"], check=True)
        protoc: list[str | Path] = [
            python,
            "-m",
            "grpc_tools.protoc",
            f"--proto_path={here}",
            f"--python_out={here}",
        ]
        return subprocess.run([*protoc, str(here / "remote_cache.proto")], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
