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

#: The worker of a fetch, without the command line around it: its start is not what is tested.
PROGRAM = """
import sys
from pathlib import Path
from gfattach.inputs.contract.document import read_contract
from gfattach.inputs.materialise.fetch import Fetcher, State, client_factory
from gfattach.inputs.materialise.plan import plan_distdir
from gfattach.inputs.materialise.sources import upstream

place = Path(sys.argv[2])
fetcher = Fetcher(upstream, client_factory(lambda url: {}, {}), jobs=4)
print("ready", flush=True)
results = fetcher.run(plan_distdir(read_contract(Path(sys.argv[1])).inputs, place), place)
sys.exit(any(each.state not in (State.FETCHED, State.KEPT) for each in results))
"""

FILES, KILLS = 6, 100


def content_of(number):
    return random.Random(number).randbytes(300_000)


class Killer:
    """Kills the process that it is given once the upstream has sent so many bytes."""

    def __init__(self):
        self.at, self.process, self.lock = 0, None, threading.Lock()

    def watch(self, process, at):
        with self.lock:
            self.at, self.process = at, process

    def __call__(self, sent):
        with self.lock:
            if self.process is not None and sent >= self.at:
                self.process.send_signal(signal.SIGKILL)
                self.process = None


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
    """Each beginning was gone on with: the first request for its file asks for what follows it."""
    first = {}
    for path, headers in upstream.requests:
        first.setdefault(upstream.base + path, headers.get("Range"))
    for url, content in zip(urls, contents, strict=True):
        size = begun.get(checksum(content).hex, 0)
        if size and url in first:
            assert first[url] == f"bytes={size}-"


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
        killed, number, total = 0, 0, sum(map(len, contents))
        while killed < KILLS:
            number += 1
            place = tmp_path / f"place-{number}"
            begun: dict[str, int] = {}
            while True:
                process = subprocess.Popen(
                    [sys.executable, "-c", PROGRAM, str(contract), str(place)],
                    env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
                    stdout=subprocess.PIPE,
                )
                process.stdout.readline()
                if killed < KILLS:
                    killer.watch(process, upstream.sent + chance.randrange(1, total))
                ended = process.wait()
                process.stdout.close()
                killer.watch(None, 0)
                asked_on(upstream, begun, urls, contents)
                found = whole_files(place)
                assert all(content in contents for content in found.values())
                if ended == 0:
                    break
                assert ended == -signal.SIGKILL
                killed += 1
                begun = beginnings(place)
                upstream.requests.clear()
            assert sorted(found.values()) == sorted(contents)
            assert not (place / ".gfattach-partial").exists()
    assert killed >= KILLS
