"""A minute of real builds while things break: what the agent holds stays what it is.

`python benchmarks/soak.py` is the same for an hour.
"""

import os
import shutil

import pytest

from tests.harness.cluster.chaos import attached_field
from tests.harness.cluster.soak import soak

SECONDS = float(os.environ.get("GFATTACH_SOAK_SECONDS", "60"))

pytestmark = pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")


def test_memory_descriptors_sockets_and_tasks_are_flat(cluster, tmp_path):
    with attached_field(tmp_path, cluster) as field:
        results = soak(field, SECONDS)
    assert results.kept, "\n".join(map(str, (*results.figures, *results.notes)))
