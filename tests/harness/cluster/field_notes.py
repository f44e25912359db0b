"""The field notes of this repository, made anew: the trial, and an attach into the test cluster.

    python -m tests.harness.cluster.field_notes

Each is a first-ever `gfattach up --note` of a machine that has nothing but Bazel and Nix; what it keeps is
copied to docs/field-notes, with the index. Of the notes that are there those of the same name are replaced.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.developer import developer_machine, fill, nix_cache
from tests.harness.machine.developer import ROOT, Machine, make_machine

NOTES = ROOT / "docs/field-notes"

TRIAL, CLUSTER = "The trial on a small machine", "An attach into the test cluster"

#: What has to be known to read the second one.
REMARK = (
    "the cluster is the one of the tests: a real API server and kubelets, and behind Services a real"
    " bazel-remote and a real Nix cache"
)


def main() -> int:
    """Make both notes; the exit code."""
    with tempfile.TemporaryDirectory(prefix="gfattach-notes.") as place, Cluster() as cluster:
        _noted(make_machine(Path(place, "trial")), TRIAL, "--trial")
        with nix_cache(Path(place, "nix"), cluster) as nix:
            fill(Path(place, "fill"), cluster)
            machine = developer_machine(Path(place, "developer"), cluster)
            machine.write_site('[nix]\nservice = "attic"\ncache = ""\n[cache]\nservice = "bazel-cache"\n')
            _noted(machine, CLUSTER, "--public-key", nix["public_key"], "--remark", REMARK)
    return 0


def _noted(machine: Machine, title: str, *words: str) -> None:
    """Attach with a note, and keep it with the others."""
    there = machine.workspace / "docs/field-notes"
    shutil.copytree(NOTES, there)
    for kept in there.glob(f"*-{title.lower().replace(' ', '-')}.*"):
        kept.unlink()
    done = machine.run("up", *words, "--note", title)
    print(done.stderr, done.stdout, sep="", flush=True)
    machine.run("down")
    if done.returncode != 0:
        sys.exit(f"{title}: gfattach up ended with {done.returncode}")
    shutil.rmtree(NOTES)
    shutil.copytree(there, NOTES)


if __name__ == "__main__":
    sys.exit(main())
