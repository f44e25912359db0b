"""How long Bazel waits for a token, as a multiple of a bare interpreter's start.

    python benchmarks/credential_get.py [ROUNDS]

Measured is the executable that Bazel is given, asked as Bazel asks: with the token in the private file, and
with the token in a keyring whose backend does nothing but answer. What that takes beyond the file is the
import of the keyring package, which comes whole or not at all; a real backend adds its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from timing import beside_the_first, in_turn, rounds_asked, seconds_of

from benchmarks.figures import Results

#: What an answer may cost, in starts of a bare interpreter: from the file, and from a keyring.
LIMIT = 6.0
KEYRING_LIMIT = 11.0

HOSTS = {"file": "file.example", "keyring": "keyring.example"}

#: A backend that is as good as free.
BACKEND = """
from keyring.backend import KeyringBackend
class Keyring(KeyringBackend):
    priority = 1
    def get_password(self, service, username): return "a-token-of-the-benchmark"
    def set_password(self, service, username, password): pass
    def delete_password(self, service, username): pass
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as place:
        os.environ.update(HOME=place, XDG_STATE_HOME=f"{place}/state", PYTHONPATH=place)
        Path(place, "benchmark_backend.py").write_text(BACKEND)
        for store, host in HOSTS.items():
            # Named for the login alone: what answers Bazel knows it from there.
            subprocess.run(
                [sys.executable, "-m", "gfattach", "credential", "login", host, "--store", store],
                input=b"a-token-of-the-benchmark",
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHON_KEYRING_BACKEND": "benchmark_backend.Keyring"},
                check=True,
            )
        from gfattach.credential.helper import write_helper

        helper = write_helper(Path(place) / "bin")
        bare = {"bare interpreter": partial(seconds_of, [sys.executable, "-c", "1"], input=b"")}
        asked = {}
        for store, host in HOSTS.items():
            question = f'{{"uri": "grpcs://{host}/build.bazel.remote.execution.v2.Capabilities"}}'.encode()
            said = subprocess.run([helper, "get"], input=question, stdout=subprocess.PIPE, check=True)
            assert b"Bearer" in said.stdout
            asked[f"helper, {store}"] = partial(seconds_of, [str(helper), "get"], input=question)
        times = in_turn(bare | asked, rounds_asked(15))
    limits = {"helper, file": LIMIT, "helper, keyring": KEYRING_LIMIT}
    return Results(beside_the_first(times, limits)).show()


if __name__ == "__main__":
    sys.exit(main())
