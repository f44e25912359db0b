"""A fetch that is killed leaves whole, verified files and beginnings, and the next one goes on with these.

The moments are random numbers of bytes that the upstream has sent: a slow machine kills at the same ones.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.harness.inputs.contracts import archive, checksum, write
from tests.harness.inputs.upstream import serving

#: Fetches into each place that it is told, in a process of its own that is forked when all is loaded: what is
#: killed is the fetch, and not a start.
PROGRAM = """
import os
import sys
from pathlib import Path
from gfattach.inputs.contract.document import read_contract
from gfattach.inputs.materialise.fetch import Fetcher, State, client_factory
from gfattach.inputs.materialise.plan import plan_distdir
from gfattach.inputs.materialise.sources import upstream

inputs = read_contract(Path(sys.argv[1])).inputs

def fetch(place):
    fetcher = Fetcher(upstream, client_factory(lambda url: {}, {}), jobs=4)
    results = fetcher.run(plan_distdir(inputs, place), place)
    return any(each.state not in (State.FETCHED, State.KEPT) for each in results)

for line in sys.stdin:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(told, 1)
        os._exit(fetch(Path(line.strip())))
    print(pid, flush=True)
    sys.stdin.readline()
    os.write(tell, b"x")
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    os.close(told)
    os.close(tell)
"""

FILES, KILLS = 6, 100


def content_of(number):
    return random.Random(number).randbytes(300_000)


class Killer:
    """Kills the process that it is given once the upstream has sent so many bytes."""

    def __init__(self):
        self.at, self.pid, self.lock = 0, None, threading.Lock()

    def watch(self, pid, at):
        with self.lock:
            self.at, self.pid = at, pid

    def __call__(self, sent):
        with self.lock:
            if self.pid is not None and sent >= self.at:
                os.kill(self.pid, signal.SIGKILL)
                self.pid = None


class Forker:
    """The process that forks the fetches."""

    def __init__(self, contract):
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(contract)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def fetch(self, place, watch):
        """Fetch into `place`, once `watch` knows the process; its exit code, negative for a signal."""
        watch(int(self._ask(f"{place}\n")))
        return int(self._ask("go\n"))

    def _ask(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def whole_files(place):
    found = {}
    for path in place.rglob("*"):
        if path.is_file() and ".gfattach-partial" not in path.parts:
            found[str(path.relative_to(place))] = path.read_bytes()
    return found


def beginnings(place):
    """The size of each beginning that was left, by the checksum that it is for."""
    partial = place / ".gfattach-partial"
    found = partial.glob("sha256-*") if partial.is_dir() else ()
    return {path.name.removeprefix("sha256-"): path.stat().st_size for path in found}


def asked_on(upstream, begun, urls, contents):
    """Each beginning was gone on with: the first request for its file asks for what follows it. How many."""
    first, continued = {}, 0
    for path, headers in upstream.requests:
        first.setdefault(upstream.base + path, headers.get("Range"))
    for url, content in zip(urls, contents, strict=True):
        size = begun.get(checksum(content).hex, 0)
        if size and url in first:
            assert first[url] == f"bytes={size}-"
            continued += 1
    return continued


def test_killed_at_a_hundred_random_moments_it_leaves_whole_files_and_goes_on(tmp_path):
    chance, killer = random.Random(20261130), Killer()
    with serving() as upstream:
        upstream.block, upstream.on_sent = 8 * 1024, killer
        names = [f"v{number // 2}.zip" for number in range(FILES)]  # half of the names collide
        contents = [content_of(number) for number in range(FILES)]
        urls = [upstream.put(f"/{number}/{name}", contents[number]) for number, name in enumerate(names)]
        contract = write(
            tmp_path / "contract.json",
            *(archive(f"a{number}", contents[number], urls[number]) for number in range(FILES)),
        )
        forker = Forker(contract)
        killed, places, total, continued = 0, 0, sum(map(len, contents)), 0
        while killed < KILLS:
            places += 1
            place, begun, ended = tmp_path / f"place-{places}", {}, None
            while ended != 0:
                upstream.requests.clear()
                moment = upstream.sent + chance.randrange(1, total)
                moment = moment if killed < KILLS else sys.maxsize
                ended = forker.fetch(place, lambda pid, at=moment: killer.watch(pid, at))
                killer.watch(None, 0)
                continued += asked_on(upstream, begun, urls, contents)
                found = whole_files(place)
                assert all(content in contents for content in found.values())
                assert ended in (0, -signal.SIGKILL)
                killed += ended != 0
                begun = beginnings(place)
            assert sorted(found.values()) == sorted(contents)
            assert not (place / ".gfattach-partial").exists()
        forker.close()
    assert killed == KILLS and continued > 0
