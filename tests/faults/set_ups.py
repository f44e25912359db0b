"""The set-ups into which faults are seeded: each makes a healthy one, which the doctor calls so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gfattach.nixcache.target import SubstituterTarget
from tests.faults.bed import Bed
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.certificates.pki import Pki
from tests.harness.cluster import build
from tests.harness.cluster.cluster import Cluster
from tests.harness.machine import faulty_servers
from tests.harness.substituters.stage import Rig


def attached_to_the_trial(bed: Bed) -> None:
    """An attachment to the embedded caches, which `down` ends whatever was seeded."""
    _attach(bed, "--trial")
    bed.arguments += ["--no-nix"]


def _detach(bed: Bed) -> None:
    bed.machine.variables.clear()
    done = bed.run("down")
    assert done.returncode == 0, done.stderr


def _attach(bed: Bed, *words: str) -> None:
    bed.stack.callback(_detach, bed)
    done = bed.run("up", "--no-bazel", "--no-nix", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def named_cache(bed: Bed) -> None:
    """A good cache in plaintext that is named to the doctor; nothing is attached."""
    port, _ = bed.stack.enter_context(reapi(Faults()))
    bed.arguments += ["--cache", f"grpc://127.0.0.1:{port}", "--no-nix"]


def nothing_named(bed: Bed) -> None:
    """Seeds of this set-up name the cache that they make."""
    bed.arguments += ["--no-nix"]


def certificates(bed: Bed) -> None:
    """An authority for the cache's certificate (`shared` of the seeds), and one that nobody trusts."""
    bed.arguments += ["--no-nix"]
    bed.shared = {
        "ours": Pki(bed.directory("ours")),
        "theirs": Pki(bed.directory("theirs"), "root of others"),
    }


def substituter(bed: Bed) -> None:
    """Seeds of this set-up name the substituter that they make, with what the harness has for that."""
    patch = bed.stack.enter_context(pytest.MonkeyPatch.context())
    authority = faulty_servers.Authority(bed.directory("authority"))
    bed.shared = Rig(bed.stack, bed.directory("rig"), authority, patch)
    bed.arguments += ["--no-bazel"]


def kubeconfig(bed: Bed) -> None:
    """Seeds of this set-up write the kubeconfig, and make the API server where there is one."""
    bed.arguments += ["--no-nix"]


def attached_to_the_cluster(bed: Bed) -> None:
    """An attachment into the real test cluster, which is put back in order afterwards."""
    cluster: Cluster = bed.shared
    bed.stack.callback(cluster.reset)
    bed.machine.variables["KUBECONFIG"] = str(cluster.kubeconfig)
    _attach(bed)
    bed.arguments += ["--no-nix"]


SET_UPS: dict[str, Callable[[Bed], None]] = {
    "trial": attached_to_the_trial,
    "machine": named_cache,
    "cache": nothing_named,
    "tls": certificates,
    "nix": substituter,
    "kubeconfig": kubeconfig,
    "cluster": attached_to_the_cluster,
}


@contextmanager
def shared_by(set_ups: set[str]) -> Iterator[dict[str, Any]]:
    """What all faults of a set-up share: the test cluster, where it is asked for and is built."""
    if "cluster" not in set_ups:
        yield {}
        return
    with Cluster(programs=build.locate()) as cluster:
        yield {"cluster": cluster}


#: What is healthy in some of them, by which this machine's own faults are known.
HEALTHY: dict[str, Callable[[Bed], object]] = {
    "machine": lambda bed: None,
    "nix": lambda bed: name_substituter(bed, bed.shared.cache(bed.shared.good())),
}


def name_substituter(bed: Bed, target: SubstituterTarget) -> None:
    """Name that Nix cache to the doctor."""
    bed.arguments += ["--substituter", target.endpoint.url]
    for key in target.public_keys:
        bed.arguments += ["--public-key", key]
    if target.ca_file is not None:
        bed.arguments += ["--substituter-ca-file", str(target.ca_file)]
    path = bed.directory("home/.config/gfattach") / "gfattach.toml"
    path.write_text(f'[nix]\nsigned_path = "{target.signed_path or target.probe_path}"\n')
