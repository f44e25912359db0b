"""Kill commands at random points, and count what was lost.

    .venv/bin/python -m tests.harness.kills [COUNT] [--jobs N] [--tally FILE] [--only TEXT]

Each time: the machine is made ready, the command is begun and killed after a random part of the time that it
takes, and `down` has to give back every file byte for byte and leave no process. Plain `bazel build` and
`nix-build` run at random moments all the while: beside the command, after the kill, and beside the `down`. No
scenario comes up again before each other has had its share. Then the four conditions: a full disk, a
read-only one, an `up` that races another, a workspace that is moved. Ends with 1 where anything was lost.
Needs Bazel, Nix and the programs of the test cluster.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.figures import Figure, Results
from tests.harness.kills.conditions import CONDITIONS
from tests.harness.kills.killer import Killer
from tests.harness.kills.scenarios import scenarios
from tests.harness.kills.scene import scene
from tests.harness.kills.tally import Tally

COUNT = 500


@contextmanager
def killers(root: Path, options: argparse.Namespace, tally: Tally) -> Iterator[list[Killer]]:
    """As many as there are jobs, each with a machine of its own, on one cluster."""
    from tests.harness.cluster.cluster import Cluster
    from tests.harness.cluster.developer import fill

    with Cluster() as cluster, ExitStack() as stack:
        fill(root / "operator", cluster)
        until = time.monotonic() + 60 * options.minutes
        made = []
        for job in range(options.jobs):
            place, seed = root / f"job-{job}", options.seed + job
            one = stack.enter_context(scene(place / "m", seed, builds=not options.no_builds, tally=tally))
            found = stack.enter_context(scenarios(one, place, cluster))
            made.append(Killer(one, [each for each in found if options.only in each.name], tally, until))
        yield made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", nargs="?", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="machines at once, each with kills of its own")
    parser.add_argument("--minutes", type=float, default=math.inf, help="no kill begins after these")
    parser.add_argument("--tally", type=Path, help="a file of counts: go on from there, with another seed")
    parser.add_argument("--only", default="", help="scenarios whose names hold this")
    parser.add_argument("--no-builds", action="store_true", help="no plain builds between")
    options = parser.parse_args()
    os.environ.setdefault("GFATTACH_TEST_CACHE", str(Path.home() / ".cache/gfattach-tests"))
    tally = Tally(options.tally)
    with (
        tempfile.TemporaryDirectory(prefix="gfk.") as directory,
        killers(Path(directory), options, tally) as made,
    ):
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for done in [pool.submit(killer.run, options.count) for killer in made]:
                done.result()
        conditions = {
            name: condition(made[0].scene) for name, condition in CONDITIONS.items() if options.only in name
        }
        names = [each.name for each in made[0].scenarios]
    lost = [*tally.lost, *(f"{name}: {said}" for name, said in conditions.items() if said)]
    return Results(
        [
            Figure("kills at random points", [tally.killed.total()], "kills", limit=COUNT, more=True),
            Figure("lost", [len(lost)], "kills", limit=0),
        ],
        notes=tally.notes(names)
        + [f"{name}: {said or 'nothing lost'}" for name, said in conditions.items()]
        + lost,
    ).show()


if __name__ == "__main__":
    sys.exit(main())
