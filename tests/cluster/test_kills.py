"""Killed at random points, every command that writes leaves what `down` undoes, and no plain build fails.

A few kills of each; `python -m tests.harness.kills` is the same five hundred times, with plain builds
between.
"""

import os

import pytest

from tests.harness.cluster.developer import fill
from tests.harness.kills.conditions import CONDITIONS
from tests.harness.kills.killer import Killer
from tests.harness.kills.scenarios import scenarios
from tests.harness.kills.scene import scene

COUNT = int(os.environ.get("GFATTACH_KILLS", "8"))


@pytest.fixture
def killer(cluster, tmp_path):
    fill(tmp_path / "operator", cluster)
    with scene(tmp_path / "m", seed=20261130, builds=False) as made:
        with scenarios(made, tmp_path, cluster) as found:
            yield Killer(made, found, made.tally)


def test_a_killed_command_is_undone_byte_for_byte(killer):
    killer.run(COUNT)
    assert killer.tally.lost == []
    assert killer.tally.killed.total() == COUNT


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_bad_condition_is_undone_byte_for_byte(name, tmp_path):
    with scene(tmp_path, seed=1, builds=False) as made:
        assert CONDITIONS[name](made) == ""
