"""The journal: every change outside the home is recorded first, and undone byte for byte."""

import os
import stat
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.core.errors import StorageError
from gfattach.core.paths import Home
from gfattach.undo import managed_block as marked
from gfattach.undo.changes import JournalError
from gfattach.undo.journal import Journal, Undone
from tests.harness.machine.journals import LINE, changed, home, results

__all__ = ["home"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(value):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("content", [b"", b"a", b"a\r\nb", b"\xff\x00"])
@pytest.mark.parametrize("bits", [0o600, 0o644, 0o444, 0o755])
def test_a_file_is_restored_byte_for_byte_with_its_mode(home, content, bits):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(content)
    file.chmod(bits)
    assert Journal(home).will_change(file, marked.put(content, [LINE]))
    assert (mode(file), LINE.encode() in file.read_bytes()) == (bits, True)
    file.chmod(0o640)
    assert results(home) == [Undone.RESTORED]
    assert (file.read_bytes(), mode(file)) == (content, bits)


def test_a_file_that_gfattach_made_is_removed_with_the_directories_made_for_it(home):
    file = home.workspace / "a/b/c.conf"
    Journal(home).will_change(file, b"x")
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert results(home) == [Undone.REMOVED]
    assert [path.name for path in home.workspace.iterdir()] == []


def test_a_directory_that_somebody_uses_too_stays(home):
    file = home.workspace / "a/b/c.conf"
    Journal(home).will_change(file, b"x")
    (home.workspace / "a/mine").touch()
    assert results(home) == [Undone.REMOVED]
    assert [path.name for path in (home.workspace / "a").iterdir()] == ["mine"]


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_what_is_kept_is_private_whatever_the_umask_is(home, mask):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"secret?\n")
    with umask(mask):
        Journal(home).will_change(file, b"x")
        Journal(home).will_change(home.workspace / "new", b"x")
    originals = home.originals
    assert {mode(path) for path in (home.journal, *originals.iterdir())} == {0o600}
    assert {mode(path) for path in (home.state, originals)} == {0o700}
    assert mode(home.workspace / "new") == 0o600


def test_undoing_twice_is_fine_and_leaves_nothing(home):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"a")
    Journal(home).will_change(file, b"b")
    assert results(home) == [Undone.RESTORED]
    assert results(home) == []
    assert list(home.state.iterdir()) == []


def test_several_changes_of_a_file_lead_back_to_what_was_before_the_first(home):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"a")
    for content in (b"b", b"c", b"d"):
        assert Journal(home).will_change(file, content)
    assert not Journal(home).will_change(file, b"d")
    assert changed(home) == (file,)
    assert results(home) == [Undone.RESTORED]
    assert file.read_bytes() == b"a"


def test_what_somebody_added_stays_and_only_the_block_goes(home):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"mine")
    Journal(home).will_change(file, marked.put(b"mine", [LINE]))
    file.write_bytes(file.read_bytes() + b"later\n")
    [outcome] = Journal(home).undo()
    assert outcome.result is Undone.BLOCK_REMOVED
    assert "edited since" in outcome.seen
    assert file.read_bytes() == b"mine\nlater\n"


def test_what_somebody_added_before_a_second_change_counts_as_theirs(home):
    file = home.workspace / "user.bazelrc"
    Journal(home).will_change(file, marked.put(b"", [LINE]))
    file.write_bytes(b"mine\n" + file.read_bytes())
    Journal(home).will_change(file, marked.put(file.read_bytes(), ["try-import /elsewhere"]))
    assert results(home) == [Undone.RESTORED]
    assert file.read_bytes() == b"mine\n"
    assert not (home.originals).exists()


def test_a_file_that_gfattach_made_is_removed_though_somebody_edited_within_the_block(home):
    file = home.workspace / "user.bazelrc"
    Journal(home).will_change(file, marked.put(b"", [LINE]))
    file.write_bytes(file.read_bytes().replace(LINE.encode(), b"# " + LINE.encode()))
    Journal(home).will_change(file, marked.put(file.read_bytes(), [LINE]))
    assert results(home) == [Undone.REMOVED]
    assert not file.exists()


def test_a_file_without_a_block_that_somebody_edited_is_left_and_its_original_kept(home):
    file = home.workspace / "netrc"
    file.write_bytes(b"mine")
    Journal(home).will_change(file, b"ours")
    file.write_bytes(b"edited")
    [outcome] = Journal(home).undo()
    assert (outcome.result, file.read_bytes()) == (Undone.LEFT, b"edited")
    assert outcome.original.read_bytes() == b"mine"
    assert str(outcome.original) in outcome.seen


def test_a_block_that_somebody_cut_in_half_is_left_and_said(home):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"mine\n")
    Journal(home).will_change(file, marked.put(b"mine\n", [LINE]))
    file.write_bytes(file.read_bytes().replace(marked.END, b""))
    edited = file.read_bytes()
    [outcome] = Journal(home).undo()
    assert (outcome.result, file.read_bytes()) == (Undone.LEFT, edited)
    assert "by hand" in outcome.seen


@pytest.mark.parametrize("existed", [True, False])
def test_a_file_that_somebody_removed_stays_removed(home, existed):
    file = home.workspace / "user.bazelrc"
    if existed:
        file.write_bytes(b"mine")
    Journal(home).will_change(file, b"ours")
    file.unlink()
    assert results(home) == [Undone.GONE if existed else Undone.UNTOUCHED]
    assert not file.exists()
    assert list(home.state.iterdir()) == []


def test_a_link_is_followed_and_stays_one(home, tmp_path):
    real = home.workspace / "real"
    real.write_bytes(b"mine")
    link = home.workspace / "user.bazelrc"
    link.symlink_to(real)
    Journal(home).will_change(link, b"ours")
    assert link.is_symlink() and real.read_bytes() == b"ours"
    assert results(home) == [Undone.RESTORED]
    assert link.is_symlink() and real.read_bytes() == b"mine"


def test_a_link_that_leads_out_of_the_workspace_is_not_written_through(home, tmp_path):
    real = tmp_path / "real"
    real.write_bytes(b"mine")
    link = home.workspace / "user.bazelrc"
    link.symlink_to(real)
    with pytest.raises(JournalError) as caught:
        Journal(home).will_change(link, b"ours")
    assert caught.value.code == "journal.foreign"
    assert real.read_bytes() == b"mine" and changed(home) == ()


def test_a_loop_of_links_is_a_typed_error(home):
    link = home.workspace / "user.bazelrc"
    link.symlink_to(link)
    with pytest.raises(StorageError):
        Journal(home).will_change(link, b"ours")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away: run the tests as root too")
def test_a_file_keeps_its_owner_through_a_change_and_its_undoing(home):
    file = home.workspace / "user.bazelrc"
    file.write_bytes(b"mine")
    os.chown(file, 12345, 12346)
    for act in (lambda: Journal(home).will_change(file, b"ours"), Journal(home).undo):
        act()
        assert (file.stat().st_uid, file.stat().st_gid) == (12345, 12346)


OURS = [LINE, "try-import /another"]
EDITS = st.one_of(
    st.tuples(st.just("link"), st.sampled_from(OURS)),
    st.tuples(st.just("before"), st.sampled_from([b"x\n", b"y\r\n", b"\n"])),
    st.tuples(st.just("after"), st.sampled_from([b"z\n", b"z", b"\r\n"])),
    st.tuples(st.just("undo"), st.none()),
    st.tuples(st.just("remove"), st.none()),
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.none(), st.sampled_from([b"", b"a", b"a\r\nb", b"a\n"])), st.lists(EDITS, max_size=8))
def test_any_sequence_of_linking_editing_and_undoing_restores_what_is_not_gfattachs(
    tmp_path_factory, content, steps
):
    """A model keeps what stands before and behind the block; a joining line break counts as none."""
    workspace = tmp_path_factory.mktemp("w")
    home, file = Home(workspace / ".gfattach", workspace), workspace / "user.bazelrc"
    if content is not None:
        file.write_bytes(content)
    linked, before, after, made = False, content, b"", False
    for step, value in [*steps, ("undo", None)]:
        if step == "link":
            if not linked:
                before, after, made = before, b"", made or before is None
            current = file.read_bytes() if file.exists() else b""
            Journal(home).will_change(file, marked.put(current, [value]))
            linked, before = True, before or b""
        elif step == "before":
            file.write_bytes(value + (file.read_bytes() if file.exists() else b""))
            before = value + (before or b"")
        elif step == "after":
            file.write_bytes((file.read_bytes() if file.exists() else b"") + value)
            if linked:
                after += value
            else:
                before = (before or b"") + value
        elif step == "remove":
            file.unlink(missing_ok=True)
            linked, before, after = False, None, b""
        elif step == "undo":
            outcomes = Journal(home).undo()
            assert Undone.FAILED not in {outcome.result for outcome in outcomes}
            found = file.read_bytes() if file.exists() else None
            if linked and after and before and not before.endswith(b"\n"):
                assert found in (before + b"\n" + after, before + b"\r\n" + after)
            elif linked and not before and not after:
                assert found in (None, b"")
                assert found is None or not made
            elif linked:
                assert found == (before or b"") + after
            else:
                assert found == before
            linked, before, after, made = False, found, b"", False
    assert not home.journal.exists()
