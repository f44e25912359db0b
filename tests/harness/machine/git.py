"""A git that knows nothing of who runs the tests; a module that uses it imports the fixture by name."""

import pytest


@pytest.fixture(autouse=True)
def no_user_configuration(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
