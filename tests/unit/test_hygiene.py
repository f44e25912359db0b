"""What no test can reach: the real home and directories of whoever runs it."""

import os
import pwd
from pathlib import Path

import pytest

from gfattach.core import paths
from tests import conftest


def test_home_and_every_directory_of_the_user_is_a_temporary_one():
    real = Path(pwd.getpwuid(os.getuid()).pw_dir)
    directories = (paths.state_directory(), paths.cache_directory(), paths.config_directory())
    for place in (Path.home(), Path(os.environ["XDG_RUNTIME_DIR"]), *directories):
        assert "gfattach-home-" in str(place)
        assert not place.is_relative_to(real / ".local") and not place.is_relative_to(real / ".config")


def test_the_tests_own_cache_stays_where_it_was():
    assert "gfattach-home-" not in os.environ["GFATTACH_TEST_CACHE"]


@pytest.mark.parametrize("change", ["made", "rewritten", "removed"])
def test_what_is_changed_in_the_real_directories_is_seen(monkeypatch, tmp_path, change):
    monkeypatch.setattr(conftest, "_REAL", {"XDG_STATE_HOME": tmp_path})
    (tmp_path / "gfattach").mkdir()
    file = tmp_path / "gfattach/index.json"
    if change != "made":
        file.write_text("{}")
    held = conftest.holding(conftest.files_of_gfattach)
    next(held)
    if change == "removed":
        file.unlink()
    else:
        file.write_text("{ }")
    with pytest.raises(AssertionError, match=r"index\.json"):
        next(held, None)


def test_what_the_tests_keep_there_themselves_is_not_looked_at(monkeypatch, tmp_path):
    monkeypatch.setattr(conftest, "_REAL", {"XDG_CACHE_HOME": tmp_path})
    (tmp_path / "gfattach-tests").mkdir()
    held = conftest.holding(conftest.files_of_gfattach)
    next(held)
    (tmp_path / "gfattach-tests/program").write_text("")
    assert next(held, None) is None
