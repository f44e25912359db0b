"""A workspace whose files are changed under a journal.

A module that uses `home` imports the fixture by name.
"""

import pytest

from gfattach.core.paths import Home
from gfattach.undo.changes import read_changes
from gfattach.undo.journal import Journal

LINE = "try-import %workspace%/.gfattach/bazelrc"


@pytest.fixture
def home(tmp_path):
    workspace = tmp_path / "w"
    workspace.mkdir()
    # Its own, for a test takes back what it changes itself while it still needs the state.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        yield Home(workspace / ".gfattach", workspace)


def results(home):
    return [outcome.result for outcome in Journal(home).undo()]


def changed(home):
    """The files that an undo would look at, in the order of their change."""
    return tuple(change.path for change in read_changes(home.journal, home.originals))
