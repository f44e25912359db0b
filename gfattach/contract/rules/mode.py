"""Rules for what is declared: the mode, the manifest's mode and the profile state."""

from __future__ import annotations

from collections.abc import Iterator

from gfattach.contract.model.display import shown, shown_text
from gfattach.contract.model.terms import ProfileState, Reading, Reason, Substrate, refuse
from gfattach.contract.rules.endpoint import ENV_HINT

_MODES = ", ".join(Substrate)
_STATES = ", ".join(ProfileState)


def mode_rules(reading: Reading) -> Iterator[Reason]:
    """The declared mode against the derived one, and the manifest's against it."""
    declared = reading.value("GF_BAZEL_SUBSTRATE_MODE")
    name = "GF_BAZEL_SUBSTRATE_MODE"
    if declared and declared not in set(Substrate):
        yield refuse(
            "contract.mode.unknown",
            name,
            f"{name} is {shown_text(declared)}, which is none of {_MODES}",
            "nobody can tell what was meant",
            f"unset {name}",
            ENV_HINT,
        )
    elif declared and declared != reading.derived:
        yield refuse(
            "contract.mode.disagrees",
            name,
            f"{name} is {declared}, and the endpoints amount to {reading.derived} ({_endpoints(reading)})",
            "a build would do something else than what was declared",
            f"declare what there is: export {name}={reading.derived}",
            ENV_HINT,
        )
    if reading.strict and reading.manifest_mode is not None:
        yield from _manifest(reading)
    if reading.strict and not reading.value("BAZEL_REMOTE_CACHE"):
        yield refuse(
            "contract.strict.no-cache",
            "BAZEL_REMOTE_CACHE",
            "BAZEL_REMOTE_CACHE is unset, and strict work needs a cache",
            "the build would quietly be a local one",
            'attach first: gfattach up && eval "$(gfattach env)"',
        )


def _manifest(reading: Reading) -> Iterator[Reason]:
    mode = reading.manifest_mode
    if not isinstance(mode, str) or mode not in set(Substrate):
        yield refuse(
            "contract.manifest.unknown",
            "enrollment.substrateMode",
            f"tinyland.repo.json declares {_kind(mode)}, which is none of {_MODES}",
            "its strict recipes take the mode from there",
            "correct enrollment.substrateMode in tinyland.repo.json",
        )
    elif mode != reading.derived:
        yield refuse(
            "contract.manifest.mode",
            "enrollment.substrateMode",
            f"tinyland.repo.json declares {mode}, and the endpoints amount to {reading.derived}",
            "the repository's strict recipes take the mode from there, and refuse another one",
            _way_out(mode, reading),
        )


def _way_out(mode: str, reading: Reading) -> str:
    if mode == Substrate.EXECUTOR:
        return "that mode needs an executor, which gfattach never attaches: ask who keeps the manifest"
    if reading.derived is Substrate.LOCAL_ONLY:
        return 'attach first: gfattach up && eval "$(gfattach env)"'
    return 'run them where nothing is attached: gfattach down && eval "$(gfattach env)"'


def _kind(mode: object) -> str:
    return f"the mode {shown_text(mode)}" if isinstance(mode, str) else f"a {type(mode).__name__}"


def _endpoints(reading: Reading) -> str:
    cache, executor = (
        shown(reading.environment, name) for name in ("BAZEL_REMOTE_CACHE", "BAZEL_REMOTE_EXECUTOR")
    )
    return f"cache {cache}, executor {executor}"


def profile_rules(reading: Reading) -> Iterator[Reason]:
    """The profile state against mode and endpoints. Unset goes with anything that is consistent."""
    state = reading.value("GF_FLYWHEEL_PROFILE_STATE")
    cache = bool(reading.value("BAZEL_REMOTE_CACHE"))
    executor = bool(reading.value("BAZEL_REMOTE_EXECUTOR"))
    match state:
        case "":
            return
        case ProfileState.UNATTACHED:
            if cache or executor or reading.mode != Substrate.LOCAL_ONLY:
                yield _contradicts(reading, "no endpoint, and no other mode than compatibility-local-only")
        case ProfileState.SHARED_CACHE:
            if not cache or executor or reading.mode != Substrate.SHARED_CACHE:
                yield _contradicts(reading, "a cache, no executor, and the mode shared-cache-backed")
        case ProfileState.EXECUTOR:
            if not cache or not executor or reading.mode != Substrate.EXECUTOR:
                yield _contradicts(reading, "a cache, an executor, and the mode executor-backed")
        case ProfileState.LOCAL_PROOF:
            yield from _local_proof(reading)
        case _:
            yield refuse(
                "contract.profile.unknown",
                "GF_FLYWHEEL_PROFILE_STATE",
                f"GF_FLYWHEEL_PROFILE_STATE is {shown_text(state)}, which is none of {_STATES}",
                "nobody can tell what was meant",
                "unset GF_FLYWHEEL_PROFILE_STATE",
                ENV_HINT,
            )


def _contradicts(reading: Reading, needs: str) -> Reason:
    state = reading.value("GF_FLYWHEEL_PROFILE_STATE")
    return refuse(
        f"contract.profile.{state}",
        "GF_FLYWHEEL_PROFILE_STATE",
        f"GF_FLYWHEEL_PROFILE_STATE is {state}, and the mode is {shown_text(reading.mode)} "
        f"({_endpoints(reading)})",
        f"that state needs {needs}",
        ENV_HINT,
        "or leave the state open: unset GF_FLYWHEEL_PROFILE_STATE",
    )


def _local_proof(reading: Reading) -> Iterator[Reason]:
    if reading.value("GF_BAZEL_LOCAL_PROOF") != "port-forward":
        yield refuse(
            "contract.profile.local-proof-marker",
            "GF_BAZEL_LOCAL_PROOF",
            f"GF_FLYWHEEL_PROFILE_STATE is local-proof, and GF_BAZEL_LOCAL_PROOF is "
            f"{shown(reading.environment, 'GF_BAZEL_LOCAL_PROOF')}",
            "a local proof says what it goes through, and port-forward is all that the contract knows",
            ENV_HINT,
            "or say so: export GF_BAZEL_LOCAL_PROOF=port-forward",
        )
    if reading.mode not in (Substrate.SHARED_CACHE, Substrate.EXECUTOR):
        yield refuse(
            "contract.profile.local-proof-mode",
            "GF_FLYWHEEL_PROFILE_STATE",
            f"GF_FLYWHEEL_PROFILE_STATE is local-proof, and the mode is {shown_text(reading.mode)}",
            "there is nothing that could be proved",
            ENV_HINT,
            "or leave the state open: unset GF_FLYWHEEL_PROFILE_STATE",
        )
