"""A workspace whose files are changed under a journal.

A module that uses `home` imports the fixture by name.
"""

import pytest

from gfattach.journal import Journal
from gfattach.paths import Home

LINE = "try-import %workspace%/.gfattach/bazelrc"


@pytest.fixture
def home(tmp_path):
    workspace = tmp_path / "w"
    workspace.mkdir()
    return Home(workspace / ".gfattach", workspace)


def results(home):
    return [outcome.result for outcome in Journal(home).undo()]
