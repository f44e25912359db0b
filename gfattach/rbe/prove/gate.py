"""What an execution proof demands before anything is run. Each refusal names the variable and the command.

A proof of a cache refuses what is demanded here (`contract.no-executor.*`), and this refuses what it has: the
two never run in one environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gfattach.contract.model.terms import Substrate
from gfattach.contract.model.variables import value_of
from gfattach.contract.substrate import classify
from gfattach.core.errors import RefusedError
from gfattach.core.quote import word
from gfattach.rbe.manifest.answer import Answer, answer
from gfattach.rbe.manifest.model import Manifest, Standing, TargetClass

#: The mode that a class has to allow for this kind of proof.
MODE = "explicit-proof"


def demand_explicit(environment: Mapping[str, str]) -> None:
    """Raise RefusedError unless the environment asks for an execution proof, whole (`rbe.prove.*`,
    `contract.*`). The first thing that is missing is the fact, and the others stand behind it.
    """
    if lacking := list(_lacking(environment)):
        first, *others = lacking
        also = [f"also: {other.fact}: {other.hints[-1]}" for other in others]
        raise RefusedError(first.fact, *first.hints, *also, code=first.code)
    classify(environment).demand()


def _lacking(environment: Mapping[str, str]) -> Iterator[RefusedError]:
    """What the environment does not say, each as the refusal of it."""
    if value_of(environment, "GF_RBE_PROOF_MODE") != "explicit":
        yield RefusedError(
            "GF_RBE_PROOF_MODE is not explicit",
            "an execution proof runs only where it was asked for: in the shell of a cache it has no place",
            "ask for it: export GF_RBE_PROOF_MODE=explicit",
            code="rbe.prove.mode",
        )
    if not value_of(environment, "BAZEL_REMOTE_EXECUTOR"):
        yield RefusedError(
            "BAZEL_REMOTE_EXECUTOR is unset",
            "name the executor: export BAZEL_REMOTE_EXECUTOR=grpc://HOST:PORT",
            code="rbe.prove.executor",
        )
    if not value_of(environment, "BAZEL_REMOTE_CACHE"):
        yield RefusedError(
            "BAZEL_REMOTE_CACHE is unset",
            "an executor takes inputs from a cache: export BAZEL_REMOTE_CACHE=grpc://HOST:PORT",
            code="rbe.prove.cache",
        )
    mode = value_of(environment, "GF_BAZEL_SUBSTRATE_MODE")
    if mode != Substrate.EXECUTOR:
        yield RefusedError(
            f"GF_BAZEL_SUBSTRATE_MODE is {mode or 'unset'}, and not {Substrate.EXECUTOR}",
            f"declare what is meant: export GF_BAZEL_SUBSTRATE_MODE={Substrate.EXECUTOR}",
            code="rbe.prove.substrate",
        )


def demand_eligible(manifest: Manifest, label: str, *, allow_candidate: bool) -> TargetClass:
    """The class of an eligible target.

    Raises RefusedError: `rbe.target.wildcard`, `rbe.prove.class`, `.blocked`, `.unlisted`, `.candidate`,
    `.explicit`.
    """
    said = answer(manifest, label)
    found = said.found
    if found is None or said.is_class:
        raise _not_a_target(manifest, said)
    if said.standing is Standing.BLOCKED:
        raise RefusedError(
            f"{label} is blocked in {manifest.path}: {'; '.join(found.blockers)}",
            "a proof of it would be of no use: it may not be claimed",
            code="rbe.prove.blocked",
        )
    if said.standing is Standing.CANDIDATE and not allow_candidate:
        raise RefusedError(
            f"{label} is a candidate in {manifest.path}, and not proved",
            f"to prove it as one: gfattach rbe prove {word(label)} --allow-candidate",
            code="rbe.prove.candidate",
        )
    if MODE not in found.allowed_modes:
        raise RefusedError(
            f"the class {found.name} does not allow {MODE}",
            f"it allows {', '.join(found.allowed_modes)}",
            code="rbe.prove.explicit",
        )
    return found


def _not_a_target(manifest: Manifest, said: Answer) -> RefusedError:
    if said.is_class and said.found is not None:
        return RefusedError(
            f"{said.asked} is a class, and a proof is of one target",
            f"its labels: {', '.join(said.found.labels)}",
            code="rbe.prove.class",
        )
    return RefusedError(
        f"{manifest.path} does not list {said.asked}",
        *said.hints,
        "labels are compared exactly; see what is listed: gfattach rbe target",
        code="rbe.prove.unlisted",
    )
