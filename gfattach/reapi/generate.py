"""Make the `_pb2.py` beside each `.proto`: `python -m gfattach.reapi.generate`.

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

#: Every `.proto`, from the package's root.
SOURCES = (
    "reapi/remote_cache.proto",
    "../tests/harness/execution/execution.proto",
    "../tests/harness/execution/compact.proto",
)


def main() -> int:
    """Run protoc; its exit code."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = Path(scratch) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", COMPILER, "setuptools<70"], check=True)
        for source in (root / name for name in SOURCES):
            here = source.parent
            options = [f"--proto_path={here}", f"--python_out={here}", str(source)]
            protoc = [str(python), "-m", "grpc_tools.protoc", *options]
            if (code := subprocess.run(protoc, check=False).returncode) != 0:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
