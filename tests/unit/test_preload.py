"""Modules are imported ahead in a thread, and who needs one of them meanwhile has it whole."""

import importlib
import sys

import pytest

from gfattach.core.parallel.preload import preload


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module that takes a while; its name."""
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(0.2); done = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "slow_to_import"
    sys.modules.pop("slow_to_import", None)


def test_who_needs_it_meanwhile_waits_for_the_whole_of_it(module):
    thread = preload([module])
    assert importlib.import_module(module).done
    thread.join(60)
    assert not thread.is_alive()


def test_what_is_not_there_is_told_by_who_needs_it(module):
    preload(["no_such_module_at_all", module]).join(60)
    assert sys.modules[module].done
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module_at_all")
