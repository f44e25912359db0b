"""What in an environment refuses nothing, and what is worth a warning.

Hazards in files are in `hazards_files` and `hazards_rc`. No warning holds a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.contract.model.display import shown
from gfattach.contract.model.manifest import declared_mode
from gfattach.contract.model.terms import Substrate, derive
from gfattach.contract.model.variables import TRUE_WORDS, UPLOAD_VARIABLES, value_of
from gfattach.contract.nix_state import NixState, nix_state
from gfattach.contract.rules.endpoint import ENV_HINT
from gfattach.contract.rules.values import asks_upload
from gfattach.core.finding import Finding, warn

_INSTANCE = re.compile(r"default|(?:spoke|org|consumer)-[A-Za-z0-9][A-Za-z0-9_.-]*")


def environment_hazards(
    environment: Mapping[str, str], manifest: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """Hazards of an environment; `manifest` is the parsed `tinyland.repo.json`."""
    return tuple(_environment(environment, declared_mode(manifest)))


def _environment(environment: Mapping[str, str], manifest_mode: object | None) -> Iterator[Finding]:
    substrate = derive(environment)
    if value_of(environment, "ATTIC_TOKEN"):
        yield warn(
            "hazard.attic-token",
            "ATTIC_TOKEN is set",
            "together with ATTIC_SERVER it enables pushes, and who only reads needs none",
            "unset ATTIC_TOKEN",
            variable="ATTIC_TOKEN",
        )
    yield from _uploads(environment, substrate)
    if substrate is not Substrate.LOCAL_ONLY:
        yield from _unsaid(environment)
        if manifest_mode in tuple(Substrate) and manifest_mode != substrate:
            yield warn(
                "hazard.manifest.mode",
                f"tinyland.repo.json declares {manifest_mode}, and this shell is {substrate}",
                "the repository's strict recipes take the mode from there, and refuse this shell",
                'run them where nothing is attached: gfattach down && eval "$(gfattach env)"',
                variable="enrollment.substrateMode",
            )
    if nix_state(environment) is NixState.PARTIAL:
        yield warn(
            "hazard.nix.partial",
            f"ATTIC_SERVER is {shown(environment, 'ATTIC_SERVER')}, ATTIC_PUBLIC_KEY is "
            f"{'set' if value_of(environment, 'ATTIC_PUBLIC_KEY') else 'unset'}, and NIX_CONFIG does not "
            "name both under extra-substituters and extra-trusted-public-keys",
            "Nix asks a cache only when it has both its address and its key; plain settings replace yours",
            ENV_HINT,
            variable="NIX_CONFIG",
        )
    instance = value_of(environment, "BAZEL_REMOTE_INSTANCE_NAME")
    if instance and not _INSTANCE.fullmatch(instance):
        yield warn(
            "hazard.instance-name",
            f"BAZEL_REMOTE_INSTANCE_NAME is {shown(environment, 'BAZEL_REMOTE_INSTANCE_NAME')}",
            "the field knows default, spoke-NAME, org-NAME and consumer-NAME; another one is another, "
            "empty cache",
            "unset BAZEL_REMOTE_INSTANCE_NAME",
            variable="BAZEL_REMOTE_INSTANCE_NAME",
        )


def _uploads(environment: Mapping[str, str], substrate: Substrate) -> Iterator[Finding]:
    newer, older = UPLOAD_VARIABLES
    if asks_upload(environment):
        yield warn(
            "hazard.upload.on",
            f"{newer} is {shown(environment, newer)}, {older} is {shown(environment, older)}",
            "what is built here is served to everybody",
            f"export {newer}=false {older}=false",
            variable=newer,
        )
    values = [value_of(environment, name) for name in UPLOAD_VARIABLES]
    if all(values) and (values[0] in TRUE_WORDS) != (values[1] in TRUE_WORDS):
        yield warn(
            "hazard.upload.disagrees",
            f"{newer} is {shown(environment, newer)}, {older} is {shown(environment, older)}",
            "which one counts depends on the wrapper",
            f"export {newer}=false {older}=false",
            variable=older,
        )
    if substrate is not Substrate.LOCAL_ONLY and not values[0]:
        yield warn(
            "hazard.upload.unset",
            f"{newer} is unset",
            "one wrapper of the field takes that for true, and would upload",
            f"export {newer}=false",
            ENV_HINT,
            variable=newer,
        )


def _unsaid(environment: Mapping[str, str]) -> Iterator[Finding]:
    for name, code, why in (
        (
            "GF_FLYWHEEL_PROFILE_STATE",
            "hazard.profile.unset",
            "the field's enrolment verifier and doctor refuse a shell that does not say how it is enrolled",
        ),
        (
            "GF_BAZEL_SUBSTRATE_MODE",
            "hazard.mode.unset",
            "the field's wrapper and verifier refuse a shell that declares no mode",
        ),
    ):
        if not value_of(environment, name):
            yield warn(code, f"{name} is unset, and an endpoint is set", why, ENV_HINT, variable=name)
