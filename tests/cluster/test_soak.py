"""Real builds while things break, for GFATTACH_SOAK_SECONDS: what the agent holds stays what it is.

`python benchmarks/soak.py` is the same for an hour. Without the variable it is no part of the suite: that has
no minute to spare.
"""

import os
import shutil

import pytest

from tests.harness.cluster.chaos import attached_field
from tests.harness.cluster.soak import soak

SECONDS = float(os.environ.get("GFATTACH_SOAK_SECONDS", "0"))

pytestmark = pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")

if SECONDS:

    def test_memory_descriptors_sockets_and_tasks_are_flat(cluster, tmp_path):
        with attached_field(tmp_path, cluster) as field:
            results = soak(field, SECONDS)
        assert results.kept, "\n".join(map(str, (*results.figures, *results.notes)))
