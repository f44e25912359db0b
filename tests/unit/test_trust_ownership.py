"""Owner, mode and links: what another local user can have put there is told from what this user did."""

import os
import stat

import pytest

from gfattach.core import paths
from gfattach.core.errors import RefusedError
from gfattach.core.trust import allowed, ownership, secret

AS_ROOT = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root gives files away: run the tests as root too"
)
OTHER = 12345


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "state/gfattach"


@pytest.fixture
def workspace(tmp_path):
    made = tmp_path / "w"
    made.mkdir()
    (made / "WORKSPACE").write_text("")
    return made


def test_what_is_this_users_alone_is_not_in_doubt(workspace):
    assert ownership.doubt(workspace) == ""
    assert ownership.doubt(workspace / "nothing") == ""
    workspace.chmod(0o755)
    assert ownership.doubt(workspace) == ""


def test_what_everybody_may_write_to_is_in_doubt(workspace):
    workspace.chmod(0o1777)
    assert "every user" in ownership.doubt(workspace)


@AS_ROOT
def test_what_is_another_users_is_in_doubt_also_through_a_link(workspace, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, OTHER, OTHER)
    (workspace / "link").symlink_to(theirs)
    for path in (theirs, workspace / "link"):
        assert str(OTHER) in ownership.doubt(path)


@AS_ROOT
def test_a_group_of_others_is_in_doubt(workspace):
    os.chown(workspace, 0, OTHER)
    workspace.chmod(0o775)
    assert f"the group {OTHER}" in ownership.doubt(workspace)


@pytest.mark.parametrize("marker", paths.WORKSPACE_MARKERS)
@AS_ROOT
def test_a_marker_that_another_user_put_into_a_parent_is_refused_by_name(tmp_path, marker):
    shared, own = tmp_path / "shared", tmp_path / "shared/mine"
    own.mkdir(parents=True)
    (shared / marker).touch()
    os.chown(shared / marker, OTHER, OTHER)
    with pytest.raises(RefusedError) as caught:
        paths.resolve_home(None, own)
    assert caught.value.code == "trust.workspace"
    assert str(shared / marker) in caught.value.fact and str(OTHER) in caught.value.fact
    assert any(f"gfattach site allow --workspace {shared}" in hint for hint in caught.value.hints)
    allowed.write(paths.state_directory(), shared, allowed.Allowed(True))
    assert paths.resolve_home(None, own).workspace == shared


@AS_ROOT
def test_a_workspace_of_ones_own_below_it_is_not_decided_by_the_parent(tmp_path):
    shared, own = tmp_path / "shared", tmp_path / "shared/mine"
    own.mkdir(parents=True)
    for place in (shared, own):
        (place / "WORKSPACE").touch()
    os.chown(shared / "WORKSPACE", OTHER, OTHER)
    assert paths.resolve_home(None, own).workspace == own


def test_the_record_is_in_the_users_state_and_not_in_the_workspace(workspace, state):
    home = paths.resolve_home(workspace, workspace)
    for path in (home.record, home.journal, home.originals, home.evidence, home.lock, home.trial):
        assert path.is_relative_to(state)
    assert home.directory == workspace / ".gfattach"


def test_two_workspaces_have_two_states(tmp_path):
    homes = [paths.Home(tmp_path / name / ".gfattach", tmp_path / name) for name in ("a", "b")]
    assert homes[0].state != homes[1].state


def test_a_home_that_is_a_link_is_refused_by_whoever_asks_for_it(workspace, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (workspace / ".gfattach").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError) as caught:
        paths.resolve_home(workspace, workspace)
    assert caught.value.code == "trust.link"


@AS_ROOT
def test_a_home_of_another_user_is_refused(workspace):
    (workspace / ".gfattach").mkdir()
    os.chown(workspace / ".gfattach", OTHER, OTHER)
    with pytest.raises(RefusedError) as caught:
        paths.resolve_home(workspace, workspace)
    assert caught.value.code == "trust.owner"


def test_a_home_that_is_left_open_is_closed(workspace):
    (workspace / ".gfattach").mkdir(mode=0o755)
    paths.resolve_home(workspace, workspace)
    assert stat.S_IMODE((workspace / ".gfattach").stat().st_mode) == 0o700


def test_a_runtime_directory_is_used_only_where_it_is_private(tmp_path):
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    environ = {"XDG_RUNTIME_DIR": str(run)}
    assert paths.own_runtime_directory(environ) == run / "gfattach"
    (run / "gfattach").mkdir(mode=0o755)
    assert paths.own_runtime_directory(environ) is None
    (run / "gfattach").rmdir()
    (run / "gfattach").symlink_to(tmp_path)
    assert paths.own_runtime_directory(environ) is None
    (run / "gfattach").unlink()
    run.chmod(0o755)
    assert paths.own_runtime_directory(environ) is None
    for named in ("", "run", str(tmp_path / "nowhere")):
        assert paths.own_runtime_directory({"XDG_RUNTIME_DIR": named}) is None


@AS_ROOT
def test_a_runtime_directory_of_a_desktop_user_is_not_roots(tmp_path):
    """As `sudo -E` hands it on."""
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    os.chown(run, OTHER, OTHER)
    assert paths.own_runtime_directory({"XDG_RUNTIME_DIR": str(run)}) is None


def test_a_secret_stays_and_is_this_users_alone(state):
    first = secret.derived(state, "port a")
    assert len(first) == 32 and first == secret.derived(state, "port a") != secret.derived(state, "port b")
    assert stat.S_IMODE((state / "key").stat().st_mode) == 0o600
    other = state.with_name("other")
    assert secret.derived(other, "port a") != first
    (state / "key").write_bytes(b"short")
    assert secret.derived(state, "port a") != first


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": 1}', '{"version": 1, "workspace": "/w"}']
)
def test_a_note_that_cannot_be_made_sense_of_allows_nothing(state, workspace, text):
    allowed.write(state, workspace, allowed.Allowed(True, {"gfattach.toml": "00"}))
    assert allowed.read(state, workspace) == allowed.Allowed(True, {"gfattach.toml": "00"})
    [note] = (state / "allowed").iterdir()
    note.write_text(text)
    assert allowed.read(state, workspace) == allowed.Allowed()
