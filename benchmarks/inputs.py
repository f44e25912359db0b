"""What `gfattach inputs fetch` takes for 200 archives of 1 MB, checksums included, and its peak of memory.

python benchmarks/inputs.py [ROUNDS]

A server on loopback in a process of its own. Beside it, for the same list: curl --parallel and sha256sum, and
aria2c -j8 with checksums where it is installed. Each round fetches into a new directory. The limits are 1.2
times the faster of the two, round by round, and 80 MB.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

from timing import in_turn, rounds_asked, seconds_of

from benchmarks.figures import Figure, Results

FILES, BYTES = 200, 1_000_000
LIMIT, MEMORY_MB = 1.2, 80

ROOT = Path(__file__).resolve().parents[1]

SERVER = textwrap.dedent(
    """
    import http.server, os, pathlib, socket, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            with open(os.path.join(sys.argv[1], os.path.basename(self.path)), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                self.send_response(200)
                self.send_header("Content-Length", str(size))
                self.end_headers()
                self.wfile.flush()
                sent = 0
                while sent < size:
                    sent += os.sendfile(self.connection.fileno(), file.fileno(), sent, size - sent)

        def log_message(self, *words):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
    """
)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[str]:
    """A server of the files in `directory`; its URL."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(directory)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def make_files(directory: Path) -> dict[str, str]:
    """The archives: name to sha256."""
    made = {}
    for number in range(FILES):
        content = os.urandom(BYTES)
        name = f"archive-{number:03}.tar.gz"
        (directory / name).write_bytes(content)
        made[name] = hashlib.sha256(content).hexdigest()
    return made


def contract(files: dict[str, str], base: str) -> str:
    """The list as a contract."""
    import base64

    inputs = [
        {
            "name": name.partition(".")[0],
            "class": "archive",
            "urls": [f"{base}/{name}"],
            "integrity": "sha256-" + base64.b64encode(bytes.fromhex(digest)).decode(),
            "size": BYTES,
            "files": [name],
            "targets": [],
            "platforms": [],
        }
        for name, digest in files.items()
    ]
    return json.dumps({"schema": "gfattach.inputs/1", "targets": ["//..."], "inputs": inputs})


def main() -> int:
    """Run; 0 where both limits are kept."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "served").mkdir()
        (place / "workspace").mkdir()
        (place / "workspace/WORKSPACE").touch()
        files = make_files(place / "served")
        with serving(place / "served") as base:
            (place / "workspace/gfattach-inputs.json").write_text(contract(files, base))
            lines = (f'url = "{base}/{each}"\noutput = "{each}"\n' for each in files)
            (place / "curl.conf").write_text("".join(lines))
            (place / "sums").write_text("".join(f"{digest}  {each}\n" for each, digest in files.items()))
            (place / "aria2.list").write_text(
                "".join(f"{base}/{each}\n  checksum=sha-256={digest}\n" for each, digest in files.items())
            )
            return measure(place)


def measure(place: Path) -> int:
    """Every command in turn, each into a new directory."""
    into = place / "into"
    peaks: list[int] = []

    def fresh() -> Path:
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        return into

    def fetch() -> float:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(place)}
        words = [sys.executable, "-c", MEASURED, str(place / "peak"), "inputs", "fetch", "--distdir"]
        taken = seconds_of([*words, str(fresh())], cwd=place / "workspace", env=environment)
        peaks.append(int((place / "peak").read_text()))
        return taken

    curl = f"curl -sS --parallel --parallel-max 8 -K {place}/curl.conf && sha256sum --quiet -c {place}/sums"
    others = {"curl --parallel": lambda: seconds_of(["sh", "-c", curl], cwd=fresh())}
    if shutil.which("aria2c"):
        words = ["aria2c", "-q", "-j8", "-x1", "-V", "-i", str(place / "aria2.list")]
        others["aria2c -j8"] = lambda: seconds_of(words, cwd=fresh())
    times = in_turn({"gfattach inputs fetch": fetch, **others}, rounds_asked(7))
    own = times.pop("gfattach inputs fetch")
    figures = [Figure(f"200 archives beside {name}", own, "s", taken, LIMIT) for name, taken in times.items()]
    figures.append(Figure("peak of memory", [peak / 1024 for peak in peaks], "MB", limit=MEMORY_MB))
    return Results(figures).show()


#: Runs the program and writes down the most memory that it had, in kB.
MEASURED = textwrap.dedent(
    """
    import atexit, pathlib, resource, sys

    peak = pathlib.Path(sys.argv.pop(1))
    atexit.register(lambda: peak.write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)))
    from gfattach.__main__ import main

    sys.exit(main())
    """
)


if __name__ == "__main__":
    sys.exit(main())
