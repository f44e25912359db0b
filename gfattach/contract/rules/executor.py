"""Rules for executors and for the runners that may use one; and what forbids a proof of a cache."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gfattach.contract.model.display import shown, shown_text
from gfattach.contract.model.terms import ProfileState, Reading, Reason, Substrate, refuse
from gfattach.contract.model.variables import lines_of, value_of
from gfattach.contract.rules.endpoint import ENV_HINT

#: Labels of runners that are capability classes of a pool.
_CLASS = re.compile(r"[a-z0-9][a-z0-9-]*-(nix|nix-heavy|nix-kvm|nix-gpu|docker|dind)")

#: Labels that look like a class and are left over from runners of single repositories.
_REPOSITORY_LABELS = frozenset(
    {"dollhouse-farm-nix", "chapel-nix", "jesssullivan-nix-heavy", "massageithaca-dind"}
)

_HOSTED = re.compile(r"(ubuntu|windows|macos)(-.*)?", re.DOTALL)

_EXECUTOR = "BAZEL_REMOTE_EXECUTOR"


def executor_rules(reading: Reading) -> Iterator[Reason]:
    """What an executor needs beside it, and what must not be there without one."""
    cache, executor = reading.value("BAZEL_REMOTE_CACHE"), reading.value(_EXECUTOR)
    if executor and not cache:
        yield refuse(
            "contract.executor.no-cache",
            _EXECUTOR,
            f"{_EXECUTOR} is {shown(reading.environment, _EXECUTOR)}, and BAZEL_REMOTE_CACHE is unset",
            "an executor takes inputs from a cache and leaves results there",
            f"unset {_EXECUTOR}",
            "or name the cache as well: export BAZEL_REMOTE_CACHE=grpc://HOST:PORT",
        )
    separate = reading.value("GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE") == "true"
    if executor and cache and executor != cache and not separate:
        yield refuse(
            "contract.executor.separate-cache",
            _EXECUTOR,
            f"{_EXECUTOR} is {shown(reading.environment, _EXECUTOR)}, and the cache is "
            f"{shown(reading.environment, 'BAZEL_REMOTE_CACHE')}",
            "the executor would not find what was put into the cache",
            f"unset {_EXECUTOR}",
            "or say that it is meant: export GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE=true",
        )
    wants_executor = executor or reading.mode == Substrate.EXECUTOR
    if wants_executor and not reading.value("GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST"):
        yield refuse(
            "contract.executor.proof-image",
            "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST",
            "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST is unset, and the mode is executor-backed",
            "a result counts only together with the image of the worker that made it",
            f"unset {_EXECUTOR}",
            "or name the image: export GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST=sha256:...",
        )
    if reading.derived is Substrate.SHARED_CACHE and reading.value("BAZEL_REMOTE_EXEC_HEADER"):
        yield refuse(
            "contract.executor.header",
            "BAZEL_REMOTE_EXEC_HEADER",
            "BAZEL_REMOTE_EXEC_HEADER is set, and there is no executor",
            "credentials for an executor have no place where only a cache is used",
            "unset BAZEL_REMOTE_EXEC_HEADER",
        )
    if reading.strict or wants_executor:
        yield from _runner(reading)


def _runner(reading: Reading) -> Iterator[Reason]:
    text = reading.value("GF_BAZEL_RUNNER_LABELS")
    if not text or reading.value("GF_BAZEL_ALLOW_HOSTED_RUNNER") == "true":
        return
    labels = [label for label in re.split(r"[, \t\n]+", text) if label]
    code, label = _judge_labels(labels)
    if code is None:
        return
    said = {
        "contract.runner.hosted": f"{shown_text(label)} is a runner of GitHub's",
        "contract.runner.self-hosted": "self-hosted alone names no class",
        "contract.runner.repository": f"{shown_text(label)} is named after a repository",
        "contract.runner.unknown": "none of them is a capability class",
    }[code]
    yield refuse(
        code,
        "GF_BAZEL_RUNNER_LABELS",
        f"GF_BAZEL_RUNNER_LABELS is {shown_text(text)}: {said}",
        "a job that ran elsewhere would quietly be built without the shared cache",
        "name a class of a pool: nix, nix-heavy, nix-kvm, nix-gpu, docker or dind, as in pool-nix",
        "on a developer's machine: unset GF_BAZEL_RUNNER_LABELS",
        "or say that it is meant: export GF_BAZEL_ALLOW_HOSTED_RUNNER=true",
    )


def _judge_labels(labels: list[str]) -> tuple[str | None, str]:
    """The code for these labels (None: one is a class), and the label that decided."""
    for label in labels:
        if label in _REPOSITORY_LABELS:
            return "contract.runner.repository", label
        if _CLASS.fullmatch(label):
            return None, label
    for label in labels:
        if _HOSTED.fullmatch(label):
            return "contract.runner.hosted", label
        if label == "self-hosted":
            return "contract.runner.self-hosted", label
    return "contract.runner.unknown", ""


def executor_reasons(environment: Mapping[str, str]) -> tuple[Reason, ...]:
    """Why a proof of a cache must not run in `environment`: each thing that asks for an executor.

    The environment is one of the places where an executor can be switched on; rc files and the
    command line are others.
    """
    return tuple(_asks_for_executor(environment))


def _asks_for_executor(environment: Mapping[str, str]) -> Iterator[Reason]:
    why = "what an executor made would look like what the cache served"
    for name in (_EXECUTOR, "BAZEL_REMOTE_EXECUTOR_CACHE"):
        if value_of(environment, name):
            seen = f"{name} is {shown(environment, name)}"
            yield refuse("contract.no-executor.endpoint", name, seen, why, f"unset {name}", ENV_HINT)
    for name, value, code in (
        ("GF_BAZEL_SUBSTRATE_MODE", Substrate.EXECUTOR, "contract.no-executor.mode"),
        ("GF_FLYWHEEL_PROFILE_STATE", ProfileState.EXECUTOR, "contract.no-executor.profile"),
        ("GF_RBE_PROOF_MODE", "explicit", "contract.no-executor.rbe-proof"),
    ):
        if value_of(environment, name) == value:
            yield refuse(code, name, f"{name} is {value}", why, f"unset {name}", ENV_HINT)
    if lines_of(environment, "BAZEL_REMOTE_EXEC_HEADER"):
        name = "BAZEL_REMOTE_EXEC_HEADER"
        yield refuse("contract.no-executor.header", name, f"{name} is set", why, f"unset {name}")
