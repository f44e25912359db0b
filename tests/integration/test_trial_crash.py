"""What is left of the trial when it is killed, and when its disk is full or read-only."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import grpc
import pytest

from gfattach.core.deadline import Deadline
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.trial import supervisor
from tests.harness.caches.trial_clients import Client, blob_name
from tests.harness.caches.trial_processes import wait_for

READY_SECONDS = 30.0
KILLS = 20


class Uploads:
    """Uploads blobs, and results that name them, until the server is gone; keeps what was acknowledged."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.acknowledged: dict[Digest, bytes] = {}
        self.started = 0

    def run(self, client: Client) -> None:
        with contextlib.suppress(grpc.RpcError):
            while True:
                content = self.random.randbytes(self.random.choice([10, 5_000, 60_000, 700_000]))
                digest = Digest.of(content)
                self.started += 1
                if self.random.random() < 0.3:
                    client.batch_update((digest, content))
                else:
                    client.write(digest, content)
                file = pb.OutputFile(path="out", digest=digest.message())
                client.update_action(digest, pb.ActionResult(output_files=[file]))
                self.acknowledged[digest] = content


def test_killed_at_any_moment_it_comes_back_with_every_blob_that_it_acknowledged(tmp_path):
    """Twenty kills at random moments of an upload: what was acknowledged is served whole, drafts are gone."""
    directory, uploads = tmp_path / "trial", Uploads(seed=4711)
    try:
        for round_number in range(KILLS + 1):
            state = supervisor.start(directory, deadline=Deadline.after(READY_SECONDS))
            client = Client(state.cache_endpoint.port)
            assert list((directory / "bazel" / "tmp").iterdir()) == []
            for digest, content in uploads.acknowledged.items():
                assert client.read(blob_name(digest)) == content
                assert client.get_action(digest).output_files[0].digest.hash == digest.hash
            for stored in (directory / "bazel" / "cas").glob("??/*"):
                hash_text, _, size = stored.name.partition("-")
                assert Digest.of(stored.read_bytes()) == Digest(hash_text, int(size))
            if round_number < KILLS:
                upload = threading.Thread(target=uploads.run, args=(client,))
                before = len(uploads.acknowledged)
                upload.start()
                wait_for(lambda before=before: len(uploads.acknowledged) > before)
                time.sleep(uploads.random.uniform(0.0, 0.15))
                os.kill(state.process.pid, signal.SIGKILL)
                upload.join(READY_SECONDS)
                assert not upload.is_alive()
            client.channel.close()
    finally:
        supervisor.stop(directory)
    assert len(uploads.acknowledged) >= KILLS
    assert uploads.started > len(uploads.acknowledged), "no kill came amid an upload"


#: Given a directory on a disk of 4 MiB: fill it through a cache that believes in 64 MiB.
_FILL = """
import sys
from pathlib import Path
from gfattach.reapi.digest import Digest
from gfattach.trial.cache_server import CacheServer
from tests.harness.caches.trial_clients import Client, blob_name, refused

disk = Path(sys.argv[1])
server = CacheServer(disk / "bazel", max_bytes=64 * 1024 * 1024)
server.start()
client = Client(server.port)
kept, codes = {}, set()
for number in range(40):
    content = bytes([number]) * 200_000
    digest = Digest.of(content)
    if number % 2:
        ((_, code),) = client.batch_update((digest, content))
        codes.add(code)
    else:
        try:
            code = 0 if client.write(digest, content) else None
        except Exception as error:
            codes.add(error.code().name)
            code = error.code()
    if code == 0:
        kept[digest] = content
assert codes == {0, 8, "RESOURCE_EXHAUSTED"}, codes
assert 10 <= len(kept) < 30, len(kept)
assert all(client.read(blob_name(digest)) == content for digest, content in kept.items())
assert list((disk / "bazel" / "tmp").iterdir()) == []
first = next(iter(kept))
(disk / "bazel" / "cas" / first.hash[:2] / f"{first.hash}-{first.size}").unlink()
assert client.missing(first) == [first]
assert client.write(first, kept[first]) == first.size
assert client.read(blob_name(first)) == kept[first]
client.channel.close()
server.stop()
print("as it should be")
"""

#: Given a directory on a disk that takes nothing: start a trial on it.
_START = """
import sys
from pathlib import Path
from gfattach.core.deadline import Deadline
from gfattach.core.errors import StorageError
from gfattach.trial import supervisor

try:
    supervisor.start(Path(sys.argv[1]) / "trial", deadline=Deadline.after(30))
except StorageError as error:
    print(error.fact)
"""


def on_a_disk(options: str, tmp_path, script: str) -> str:
    """What `script` prints, given a disk of its own that is mounted with `options`."""
    disk = tmp_path / "disk"
    disk.mkdir()
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0")
    mount = f'mount -t tmpfs -o {options} trial "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        [*unshare, "sh", "-c", mount, "sh", disk, sys.executable, script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_full_disk_is_told_to_the_client_and_loses_nothing(tmp_path):
    assert on_a_disk("size=4m", tmp_path, _FILL) == "as it should be"


def test_a_disk_without_within_descriptor_budget_another_file_is_full_too(tmp_path):
    script = _FILL.replace("10 <= len(kept) < 30", "0 < len(kept) < 30")
    assert on_a_disk("size=64m,nr_inodes=40", tmp_path, script) == "as it should be"


def test_a_read_only_disk_is_a_storage_error(tmp_path):
    said = on_a_disk("ro,size=4m", tmp_path, _START)
    assert said == f"cannot make the directory {tmp_path}/disk/trial: read-only file system"
