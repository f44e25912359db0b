"""The trial's room on disk and its blobs, against a model: what is kept, what is given up, what it counts."""

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from gfattach.reapi.digest import Digest
from gfattach.trial import actions, blobs
from gfattach.trial.actions import ActionStore
from gfattach.trial.blob_store import BlobStore, FullError, TooLargeError
from gfattach.trial.blob_store_files import BLOCK_BYTES, directory_bytes
from gfattach.trial.blobs import EMPTY, ContentStore, DigestError

KINDS = {blobs.KIND: blobs.is_blob, actions.KIND: actions.is_action}
OVERHEAD = directory_bytes(len(KINDS))


def room_at(root: Path, capacity: int) -> BlobStore:
    return BlobStore(root, OVERHEAD + capacity, KINDS)


def disk_usage(root: Path) -> int:
    """Bytes on disk of everything at and below `root`, as `du` counts."""
    return sum(
        os.lstat(Path(at) / name).st_blocks * 512 for at, _, files in os.walk(root) for name in ["", *files]
    )


def stored_file(root: Path, digest: Digest) -> Path:
    return root / "cas" / digest.hash[:2] / f"{digest.hash}-{digest.size}"


def content_of(number: int, size: int) -> bytes:
    return (f"{number}:".encode() * (size // 2 + 1))[:size]


class StoreAgainstModel(RuleBasedStateMachine):
    """Puts, reads, restarts and damage: the store keeps what a dictionary in order of use would."""

    contents = Bundle("contents")

    @initialize()
    def open(self):
        self.root = Path(tempfile.mkdtemp(prefix="room"))
        self.capacity = 12 * (BLOCK_BYTES + 256)
        self.model: OrderedDict[Digest, int] = OrderedDict()
        self.reopen()

    def reopen(self):
        self.room = room_at(self.root, self.capacity)
        self.store = ContentStore(self.room)

    @rule(target=contents, number=st.integers(0, 40), size=st.integers(1, 5 * BLOCK_BYTES))
    def content(self, number, size):
        return content_of(number, size)

    @rule(content=contents, pieces=st.integers(1, 4))
    def put(self, content, pieces):
        digest = Digest.of(content)
        step = -(-len(content) // pieces)
        assert self.store.has(digest) == (digest in self.model)
        if digest not in self.model:
            self.store.put(digest, (content[at : at + step] for at in range(0, len(content), step)))
            charge = self.room.charge(len(content))
            while self.model and sum(self.model.values()) + charge > self.capacity:
                self.model.popitem(last=False)
            self.model[digest] = charge
        self.model.move_to_end(digest)

    @rule(content=contents)
    def read(self, content):
        digest = Digest.of(content)
        assert self.store.read(digest) == (content if digest in self.model else None)
        if digest in self.model:
            self.model.move_to_end(digest)

    @rule(content=contents, wrong=st.sampled_from(["hash", "short", "long"]))
    def put_what_it_is_not(self, content, wrong):
        digest = Digest.of(content)
        if digest in self.model:
            return
        sent = {"hash": content[:-1] + b"\xff", "short": content[:-1], "long": content + b"x"}[wrong]
        room = self.room.charge(len(content))
        with pytest.raises(DigestError):
            self.store.put(digest, [sent])
        while self.model and sum(self.model.values()) + room > self.capacity:
            self.model.popitem(last=False)  # room was made before the content could be known

    @rule(leftover=st.binary(max_size=64))
    def restart(self, leftover):
        (self.root / "tmp" / "17.new").write_bytes(leftover)
        self.reopen()
        assert list((self.root / "tmp").iterdir()) == []

    @rule(content=contents, how=st.sampled_from(["flip", "cut", "lengthen", "remove"]))
    def damage_and_restart(self, content, how):
        digest = Digest.of(content)
        if digest not in self.model:
            return
        file = stored_file(self.root, digest)
        times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
        if how == "remove":
            file.unlink()
        else:
            damaged = {"flip": content[:-1] + b"\xff", "cut": content[:-1], "lengthen": content + b"x"}[how]
            file.write_bytes(damaged)
            os.utime(file, ns=times)
        self.reopen()
        assert self.store.read(digest) is None
        del self.model[digest]

    @invariant()
    def it_keeps_what_the_model_keeps_in_the_order_of_use(self):
        assert self.room.keys() == [f"cas/{d.hash[:2]}/{d.hash}-{d.size}" for d in self.model]

    @invariant()
    def it_counts_what_it_keeps_and_holds_its_bound(self):
        assert self.room.used == sum(self.model.values()) <= self.capacity
        assert disk_usage(self.root) <= OVERHEAD + self.capacity

    def teardown(self):
        if hasattr(self, "root"):
            shutil.rmtree(self.root)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.fixture
def room(tmp_path):
    return room_at(tmp_path / "room", 64 * 1024 * 1024)


def test_what_is_written_is_private(tmp_path, room):
    ContentStore(room).put(Digest.of(b"secret"), [b"secret"])
    for at, _, files in os.walk(tmp_path / "room"):
        assert Path(at).stat().st_mode & 0o777 == 0o700
        assert all((Path(at) / name).stat().st_mode & 0o777 == 0o600 for name in files)


def test_the_empty_blob_is_everywhere_and_takes_no_room(room):
    store = ContentStore(room)
    store.put(EMPTY, [])
    assert (store.has(EMPTY), store.read(EMPTY), len(room)) == (True, b"", 0)
    with pytest.raises(DigestError, match="more than 0 bytes"):
        store.put(EMPTY, [b"x"])


def test_one_that_never_fits_is_refused_and_costs_nothing(room):
    store = ContentStore(room)
    store.put(Digest.of(b"kept"), [b"kept"])
    with pytest.raises(TooLargeError):
        store.put(Digest("0" * 64, 65 * 1024 * 1024), [b"never asked for"])
    assert store.has(Digest.of(b"kept"))


def test_a_digest_that_cannot_be_one_is_refused(room):
    for digest in (
        Digest("../../etc/passwd", 3),
        Digest("A" * 64, 3),
        Digest("a" * 64, -1),
        Digest("a" * 64, 2**63),
    ):
        with pytest.raises(DigestError):
            ContentStore(room).put(digest, [b"abc"])


def test_the_right_hash_with_another_size_is_another_digest(room):
    digest = Digest(Digest.of(b"x").hash, 2)
    with pytest.raises(DigestError, match="1 bytes came for a blob of 2"):
        ContentStore(room).put(digest, [b"x"])


def test_a_stream_that_breaks_off_leaves_nothing(tmp_path, room):
    def broken():
        yield b"half"
        raise ConnectionResetError

    used = room.used
    with pytest.raises(ConnectionResetError):
        ContentStore(room).put(Digest.of(b"half and half"), broken())
    assert (room.used, list((tmp_path / "room" / "tmp").iterdir())) == (used, [])
    assert room._reserved == 0  # and the room that was reserved is free again


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["open", "write", "rename"])
def test_a_full_disk_is_told_apart_and_loses_nothing(tmp_path, room, monkeypatch, call, number):
    store = ContentStore(room)
    store.put(Digest.of(b"kept"), [b"kept"])
    used = room.used

    def full(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched, pytest.raises(FullError, match=os.strerror(number).lower()):
        patched.setattr(os, call, full)
        store.put(Digest.of(b"new"), [b"new"])
    assert (store.read(Digest.of(b"kept")), room.used, room._reserved) == (b"kept", used, 0)
    assert list((tmp_path / "room" / "tmp").iterdir()) == []
    store.put(Digest.of(b"new"), [b"new"])
    assert store.read(Digest.of(b"new")) == b"new"


def test_a_disk_that_takes_no_times_can_still_be_read(room, monkeypatch):
    """On a read-only or full file system the order of use cannot be written, and blobs can be served."""
    ContentStore(room).put(Digest.of(b"kept"), [b"kept"])

    def refuse(*args, **kwargs):
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert ContentStore(room).read(Digest.of(b"kept")) == b"kept"


def test_a_file_that_was_cut_short_meanwhile_is_given_up(tmp_path, room):
    store, digest = ContentStore(room), Digest.of(b"whole")
    store.put(digest, [b"whole"])
    os.truncate(stored_file(tmp_path / "room", digest), 3)
    assert (store.read(digest), len(room), room.used) == (None, 0, 0)


def test_what_an_earlier_process_left_is_hashed_once(tmp_path, room, monkeypatch):
    digest, hashed = Digest.of(b"kept"), []
    ContentStore(room).put(digest, [b"kept"])
    original = blobs._hash
    monkeypatch.setattr(blobs, "_hash", lambda file: hashed.append(file) or original(file))
    store = ContentStore(room_at(tmp_path / "room", 1024 * 1024))
    assert [store.has(digest), store.read(digest), store.has(digest)] == [True, b"kept", True]
    assert len(hashed) == 1


def test_a_clock_that_was_set_back_does_not_change_the_order_of_use(tmp_path, room):
    """The older blob carries a time of the next year."""
    store, old, new = ContentStore(room), Digest.of(b"old"), Digest.of(b"new")
    store.put(old, [b"old"])
    ahead = time.time_ns() + 365 * 24 * 3600 * 10**9
    os.utime(stored_file(tmp_path / "room", old), ns=(ahead, ahead))
    again = room_at(tmp_path / "room", 1024 * 1024)
    ContentStore(again).put(new, [b"new"])
    assert room_at(tmp_path / "room", 1024 * 1024).keys() == again.keys()
    assert again.keys()[-1].endswith(f"{new.hash}-3")


@pytest.mark.parametrize(
    ("size", "blocks"),
    [
        (0, 1),
        (1, 1),
        (4096, 1),
        (4097, 2),
        (4 * 4096, 4),
        (4 * 4096 + 1, 6),
        (256 * 4096, 257),
        (257 * 4096, 259),
    ],
)
def test_a_file_counts_for_its_blocks_their_index_and_its_entry(room, size, blocks):
    assert room.charge(size) == blocks * BLOCK_BYTES + 256


def test_room_that_is_being_written_to_is_not_given_away(tmp_path):
    room = room_at(tmp_path, 3 * (BLOCK_BYTES + 256))
    with contextlib.ExitStack() as writing:
        for _ in range(3):
            writing.enter_context(room.draft(100))
        with pytest.raises(FullError, match="being written just now"):
            room.draft(100)
    with room.draft(100) as draft:  # they gave up theirs
        draft.admit("ac/00/00")
    assert len(room) == 1


def test_many_writers_of_one_blob_and_of_many_agree(room):
    """Eight threads put the same forty blobs; each is there once, whole, and counted once."""
    store, contents = ContentStore(room), [content_of(n, 10_000 + n) for n in range(40)]
    failures = []

    def write():
        try:
            for content in contents:
                store.put(Digest.of(content), [content[:777], content[777:]])
                assert store.read(Digest.of(content)) == content
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert room.used == sum(room.charge(len(content)) for content in contents)
    assert len(room) == 40


def test_ten_thousand_blobs_hold_the_bound(tmp_path):
    """Sizes from 1 byte to 60 KB into 32 MiB: never above, at any put, and the last ones are there."""
    bound = 32 * 1024 * 1024
    room = BlobStore(tmp_path, bound, KINDS)
    store = ContentStore(room)
    for number in range(10_000):
        content = number.to_bytes(4, "big") * (1 + number * 7919 % 15_000)
        store.put(Digest.of(content), [content])
        assert room.used <= room.capacity
        if number % 500 == 0:
            assert disk_usage(tmp_path) <= bound
    assert disk_usage(tmp_path) <= bound
    assert disk_usage(tmp_path) > bound * 0.8  # counted honestly, not just generously
    assert store.read(Digest.of(content)) == content
    assert BlobStore(tmp_path, bound, KINDS).keys() == room.keys()


def test_a_lower_bound_after_a_restart_gives_up_the_oldest(tmp_path):
    store = ContentStore(room_at(tmp_path, 10 * (BLOCK_BYTES + 256)))
    kept = [Digest.of(content) for content in (b"a", b"b", b"c", b"d")]
    for content in (b"a", b"b", b"c", b"d"):
        store.put(Digest.of(content), [content])
    assert store.has(kept[0])
    smaller = ContentStore(room_at(tmp_path, 2 * (BLOCK_BYTES + 256)))
    assert [smaller.has(digest) for digest in kept] == [True, False, False, True]


def test_files_that_are_not_the_rooms_do_not_take_its_room(tmp_path, room):
    ContentStore(room).put(Digest.of(b"kept"), [b"kept"])
    names = ("stray", "ab/not-a-blob", "ab/" + "a" * 64 + "-70", "aa/" + "a" * 64 + "-7", "aa/aa-2")
    rejected_peers = [tmp_path / "room" / "cas" / name for name in names]
    for other in rejected_peers:
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(b"x" * 70)
    again = room_at(tmp_path / "room", 1024 * 1024)
    assert (len(again), [other.exists() for other in rejected_peers]) == (1, [False] * 5)


class TestActions:
    def test_an_entry_is_kept_by_instance_and_action_and_replaced_whole(self, room):
        store, action = ActionStore(room), Digest.of(b"action")
        store.put("", action, b"first and longer")
        store.put("", action, b"second")
        store.put("main", action, b"another")
        assert [store.get(name, action) for name in ("", "main", "other")] == [b"second", b"another", None]
        assert room.used == room.charge(32 + 6) + room.charge(32 + 7)

    @pytest.mark.parametrize(
        "damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:-1] + b"?", lambda b: b"\0" * len(b)]
    )
    def test_a_damaged_entry_is_not_served_and_makes_way(self, tmp_path, room, damage):
        store, action = ActionStore(room), Digest.of(b"action")
        store.put("", action, b"result")
        (file,) = [path for path in (tmp_path / "room" / "ac").rglob("*") if path.is_file()]
        file.write_bytes(damage(file.read_bytes()))
        again = room_at(tmp_path / "room", 1024 * 1024)
        assert ActionStore(again).get("", action) is None
        assert len(again) == 0

    def test_an_entry_in_anothers_place_is_not_served(self, tmp_path, room):
        store = ActionStore(room)
        for name in (b"one", b"two"):
            store.put("", Digest.of(name), name)
        one, two = sorted(path for path in (tmp_path / "room" / "ac").rglob("*") if path.is_file())
        one.write_bytes(two.read_bytes())
        assert [store.get("", Digest.of(name)) for name in (b"one", b"two")].count(None) == 1
