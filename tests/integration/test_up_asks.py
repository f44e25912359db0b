"""What `up` asks at a terminal of what a repository says, and that it asks nobody where nobody is."""

import pytest

from tests.harness.machine.developer import findings
from tests.harness.machine.hostile import KEY

UP = ("up", "--no-bazel", "--no-nix")


@pytest.fixture
def cloned(machine, given_cache):
    """A machine whose workspace came with a file that names a cache and a key."""
    text = f"[cache]\nendpoint = '{given_cache}'\n[nix]\npublic_keys = ['{KEY}']\n"
    (machine.workspace / "gfattach.toml").write_text(text)
    return machine


@pytest.fixture
def given_cache(tmp_path):
    from gfattach.trial.cache_server import CacheServer

    cache = CacheServer(tmp_path / "cache")
    cache.start()
    yield f"grpc://127.0.0.1:{cache.port}"
    cache.stop()


def test_a_person_is_shown_what_the_file_says_and_a_no_leaves_everything_as_it_was(cloned, given_cache):
    code, shown = cloned.at_terminal(*UP, expect="allow it?", answer="n")
    assert code == 3
    asked = shown.partition("allow it?")[0]
    assert "gfattach.toml says:" in asked and given_cache in asked and KEY in asked
    assert "gfattach site allow" in shown.partition("allow it?")[2]
    assert not (cloned.workspace / ".gfattach").exists()


def test_a_yes_is_asked_once_and_holds_until_the_file_changes(cloned):
    code, shown = cloned.at_terminal(*UP, expect="allow it?", answer="y")
    assert code == 0 and shown.count("allow it?") == 1
    assert "allow it?" not in cloned.at_terminal(*UP, expect="allow it?", answer="n")[1]
    file = cloned.workspace / "gfattach.toml"
    file.write_text(file.read_text() + "[cluster]\ncontext = 'x'\n")
    code, shown = cloned.at_terminal(*UP, expect="allow it?", answer="n")
    assert code == 3 and "allow it?" in shown


def test_without_a_terminal_it_is_refused_and_the_option_is_named_and_obeyed(cloned):
    error = cloned.json(*UP, code=3)["error"]
    assert error["code"] == "site.unallowed"
    assert any("gfattach site allow" in hint for hint in error["hints"])
    assert any(hint for hint in error["hints"] if "--allow-site" in hint)
    assert findings(cloned.json(*UP, "--allow-site"))
