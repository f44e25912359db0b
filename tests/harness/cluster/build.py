"""The programs of the bed: where they are, and how they are built once and kept.

All of them are locked by `bed/go.mod` and `bed/go.sum`. A build goes to a directory whose
name is a hash of everything that went into it, so that a change never meets old programs.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).parent / "bed"
BUILD_COMMAND = "python -m tests.harness.cluster.bed build"
PROGRAM_DEADLINE = 3600.0  # seconds; the API server took 165 s cold on two shared cores

# Name -> Go package.
PACKAGES = {
    "kube-apiserver": "./kube-apiserver",
    "kube-scheduler": "./kube-scheduler",
    "kube-controller-manager": "./kube-controller-manager",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
    "runtime-node": "./runtime-node",
    "bazel-remote": "github.com/buchgr/bazel-remote/v2",
    "etcd": "go.etcd.io/etcd/server/v3",
}

_ETCD_NEEDED = (3, 5, 13)

# Two compilations at once and the lowest priority: a build must not stall the machine.
# -mod=readonly makes go.sum binding; the paths and the work tree stay out of the result.
_GOFLAGS = "-p=2 -mod=readonly -trimpath -buildvcs=false"


class BuildError(Exception):
    """A program could not be built, or is not there."""


@dataclass(frozen=True)
class Programs:
    """Where each program of the bed is."""

    kube_apiserver: Path
    kube_scheduler: Path
    kube_controller_manager: Path
    kwok: Path
    runtime_node: Path
    bazel_remote: Path
    etcd: Path


def cache_directory() -> Path:
    """`$GFATTACH_TEST_CACHE`, by default `~/.cache/gfattach-tests`."""
    named = os.environ.get("GFATTACH_TEST_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "gfattach-tests"


def missing_tools() -> str | None:
    """What is not installed that a build needs, with the command that installs it; None when all is there."""
    if shutil.which("go") is None:
        return "the bed needs Go 1.26 or later: https://go.dev/dl"
    if shutil.which("gcc") is None and shutil.which("clang") is None:
        return "the bed needs a C compiler for bazel-remote: apt-get install gcc"
    return None


def locate() -> Programs:
    """The programs: from `$KUBEBUILDER_ASSETS`, then from PATH, then from the cache.

    Raises BuildError naming what is missing and the command that builds it.
    """
    found = {name: path for name in PACKAGES if (path := _find(name)) is not None}
    if missing := [name for name in PACKAGES if name not in found]:
        raise BuildError(f"not built: {', '.join(missing)}; run: {BUILD_COMMAND}")
    return Programs(**{name.replace("-", "_"): path for name, path in found.items()})


def build(report: Callable[[str], None]) -> Programs:
    """Build what `locate` does not find, one program after the other; a line of progress each.

    Raises BuildError with the compiler's words.
    """
    wanted = [name for name in PACKAGES if _find(name) is None]
    if wanted and (missing := missing_tools()):
        raise BuildError(missing)
    for number, name in enumerate(wanted, 1):
        with _locked():
            if _find(name) is not None:  # another process built it while we waited
                continue
            report(f"[{number}/{len(wanted)}] {name}: building")
            started = time.monotonic()
            _compile(name)
            report(f"[{number}/{len(wanted)}] {name}: built in {time.monotonic() - started:.0f} s")
    return locate()


def _find(name: str) -> Path | None:
    candidates = [_output_directory() / name] if shutil.which("go") else []
    on_path = shutil.which(name)
    if on_path is not None and (name != "etcd" or _etcd_is_recent(on_path)):
        candidates.insert(0, Path(on_path))
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        candidates.insert(0, Path(assets) / name)
    return next((path for path in candidates if os.access(path, os.X_OK)), None)


@functools.cache
def _etcd_is_recent(program: str) -> bool:
    """Whether the API server can serve lists as watches from it, on which KWOK depends.

    With Debian 12's etcd 3.4.23 KWOK never sees a pod: "the required storage feature
    RequestWatchProgress is disabled".
    """
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.search(r"etcd Version: (\d+)\.(\d+)\.(\d+)", answer.stdout)
    return version is not None and tuple(map(int, version.groups())) >= _ETCD_NEEDED


def _output_directory() -> Path:
    digest = hashlib.sha256()
    for path in [MODULE / "go.mod", MODULE / "go.sum", *sorted(MODULE.glob("*/*.go"))]:
        digest.update(path.relative_to(MODULE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for part in (*PACKAGES.values(), _GOFLAGS, _go_version()):
        digest.update(part.encode() + b"\0")
    return cache_directory() / f"bed-{digest.hexdigest()[:16]}"


def _go_version() -> str:
    try:
        answer = subprocess.run(
            ["go", "env", "GOVERSION", "GOOS", "GOARCH"],
            capture_output=True, text=True, timeout=60, cwd=MODULE, env=_environment(),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"go does not answer: {error}") from error
    if answer.returncode != 0:
        raise BuildError(f"go env failed: {answer.stderr.strip()}")
    return answer.stdout


def _environment() -> dict[str, str]:
    # The toolchain that is installed, never one that Go would download by itself.
    return {**os.environ, "GOFLAGS": _GOFLAGS, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _kubernetes_version() -> str:
    match = re.search(r"^\tk8s\.io/kubernetes v(\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if match is None:
        raise BuildError(f"{MODULE / 'go.mod'} does not require k8s.io/kubernetes")
    return match.group(1)


def _linker_flags() -> str:
    """What Kubernetes' own build stamps in: without it the server calls itself v0.0.0-master."""
    version = _kubernetes_version()
    major, minor, _ = version.split(".", 2)
    stamps = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())])


def _compile(name: str) -> None:
    target = _output_directory() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{name}.new")
    command = ["nice", "-n", "19", "go", "build", "-ldflags", _linker_flags(), "-o", str(unfinished)]
    process = subprocess.Popen(
        [*command, PACKAGES[name]], cwd=MODULE, env=_environment(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=PROGRAM_DEADLINE)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the compilers are its children
        process.communicate()
        unfinished.unlink(missing_ok=True)
        if isinstance(error, subprocess.TimeoutExpired):
            raise BuildError(f"{name} was not built in {PROGRAM_DEADLINE:.0f} s") from error
        raise
    if process.returncode != 0:
        unfinished.unlink(missing_ok=True)
        raise BuildError(f"{name} does not build:\n{output[-4000:]}")
    unfinished.replace(target)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One build at a time, also among processes; the lock goes with its process."""
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / "build.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
