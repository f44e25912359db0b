"""What is killed: each command that writes, on a machine that is ready for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.execution.justbuild import justbuild
from tests.harness.execution.workspaces import environment as execution_environment
from tests.harness.inputs.contracts import archive, write
from tests.harness.inputs.upstream import serving
from tests.harness.kills.scene import Broken, Scene

if TYPE_CHECKING:
    from tests.harness.cluster.cluster import Cluster

#: An attach without the programs is over sooner, so that a kill meets each part of it more often.
BARE = ("--no-bazel", "--no-nix")


def nothing(scene: Scene) -> bool:
    """Nothing has to be there."""
    return True


@dataclass(frozen=True)
class Scenario:
    """One command to kill. `ready` makes the machine ready for it, and says whether it is; `weight` is how
    often it comes up.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[Scene], bool] = nothing
    weight: int = 1
    environ: dict[str, str] = field(default_factory=dict)


def attached(*words: str) -> Callable[[Scene], bool]:
    """A machine that is attached so; one that is too busy for a probe's time may not be."""

    def ready(scene: Scene) -> bool:
        done = scene.machine.run("up", *words)
        if done.returncode not in (0, 1, 4) or "Traceback" in done.stderr:
            raise Broken(f"up exited with {done.returncode}: {done.stdout}{done.stderr}")
        return scene.attached

    return ready


@contextmanager
def scenarios(scene: Scene, place: Path, cluster: Cluster | None) -> Iterator[list[Scenario]]:
    """All of them, and what they need, for as long as they are used."""
    trial = ("up", "--trial", *BARE)
    made = [
        Scenario("up --trial", trial, weight=4),
        Scenario("up --trial --link", ("up", "--trial", "--link", "--no-nix")),
        Scenario("up --trial, with Bazel and Nix", ("up", "--trial")),
        Scenario(
            "up --link, over a trial", ("up", "--trial", "--link", *BARE), attached(*trial[1:]), weight=2
        ),
        Scenario("down, trial", ("down",), attached("--trial", "--link", *BARE), weight=3),
        Scenario("prove, trial", ("prove", "--no-nix"), attached("--trial", *BARE)),
        Scenario("doctor --note", ("doctor", "--note", "--no-nix"), attached("--trial", *BARE)),
    ]
    scene.ignored |= {"docs/field-notes/", "distdir/", "evidence/", "gfattach-inputs.json", "config/"}
    with ExitStack() as stack:
        upstream = stack.enter_context(serving())
        made += [_inputs(scene, upstream)]
        if cluster is not None:
            made += _through(scene, cluster)
            server = stack.enter_context(justbuild(place / "justbuild"))
            made += [_execution(scene, server.url)]
        yield made


def _inputs(scene: Scene, upstream: object) -> Scenario:
    files = {f"file-{number}": bytes([number]) * 400_000 for number in range(12)}
    urls = {name: upstream.put(f"/{name}.zip", content) for name, content in files.items()}  # type: ignore[attr-defined]
    inputs = [archive(name, files[name], url) for name, url in urls.items()]
    write(scene.machine.workspace / "gfattach-inputs.json", *inputs)

    def ready(scene: Scene) -> bool:
        shutil.rmtree(scene.machine.workspace / "distdir", ignore_errors=True)
        return True

    return Scenario("inputs fetch", ("inputs", "fetch", "--distdir", "distdir"), ready, weight=2)


def _through(scene: Scene, cluster: Cluster) -> list[Scenario]:
    """Through a cluster, and directly to the cache behind it."""
    into = ("--kubeconfig", str(cluster.kubeconfig), "--no-nix")
    cache = ("--cache", f"grpc://127.0.0.1:{cluster.cache.grpc_port}", "--no-nix")
    bare = ("--no-bazel",)
    return [
        Scenario("up, direct", ("up", *cache, *bare), weight=3),
        Scenario("up --link, direct", ("up", "--link", *cache)),
        Scenario("up, cluster", ("up", *into, *bare), weight=4),
        Scenario("up --link, cluster", ("up", "--link", *into)),
        Scenario("down, direct", ("down",), attached("--link", *cache, *bare), weight=2),
        Scenario("down, cluster", ("down",), attached("--link", *into, *bare), weight=2),
        Scenario("credential refresh", ("credential", "refresh"), attached(*into, *bare), weight=2),
        Scenario("prove, cluster", ("prove", "--no-nix"), attached(*into, *bare)),
    ]


def _execution(scene: Scene, url: str) -> Scenario:
    """`rbe prove` of the target that plain builds build."""
    import json

    from tests.harness.execution.evidence import MANIFEST

    manifest = json.loads(json.dumps(MANIFEST))
    manifest["candidate_target_classes"][0]["labels"] = ["//:plain"]
    config = scene.machine.workspace / "config"
    config.mkdir(exist_ok=True)
    (config / "rbe-target-eligibility.json").write_text(json.dumps(manifest))
    evidence = str(scene.machine.workspace / "evidence")
    command = ("rbe", "prove", "//:plain", "--allow-candidate", "--evidence", evidence)
    return Scenario("rbe prove", command, environ=execution_environment(url))
