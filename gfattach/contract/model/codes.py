"""Every code of the contract: what it means, and how the field's own scripts exit there.

The codes are stable: programs and documents name them.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

#: How the field's scripts end: accepted, refused, wrong usage; 3 is their "refuse to run here".
SCRIPT_ACCEPTED, SCRIPT_REFUSED, SCRIPT_USAGE, SCRIPT_DOES_NOT_KNOW = 0, 1, 2, 3


class Refusal(Struct, frozen=True):
    """One reason to refuse. `script_exit` is 3 where no script of the field refuses."""

    meaning: str
    script_exit: int = SCRIPT_REFUSED


REFUSALS: Mapping[str, Refusal] = {
    "contract.mode.unknown": Refusal("the declared mode is none of the three"),
    "contract.mode.disagrees": Refusal("the declared mode is not what the endpoints amount to"),
    "contract.profile.unknown": Refusal("the profile state is none of the four"),
    "contract.profile.unattached": Refusal("unattached, and yet there is an endpoint or another mode"),
    "contract.profile.shared-cache-backed": Refusal("shared-cache-backed, and no cache, or an executor"),
    "contract.profile.executor-backed": Refusal("executor-backed, and no executor, or no cache"),
    "contract.profile.local-proof-marker": Refusal(
        "local-proof, and GF_BAZEL_LOCAL_PROOF is not port-forward"
    ),
    "contract.profile.local-proof-mode": Refusal("local-proof, and no endpoint to prove"),
    "contract.endpoint.placeholder": Refusal("an endpoint holds ${ or }: it was not expanded"),
    "contract.endpoint.scheme": Refusal(
        "an endpoint does not begin with grpc://, grpcs://, http:// or https://, in lower case"
    ),
    "contract.endpoint.whitespace": Refusal(
        "an endpoint holds white space or control characters", SCRIPT_DOES_NOT_KNOW
    ),
    "contract.endpoint.userinfo": Refusal("an endpoint holds a user or password", SCRIPT_DOES_NOT_KNOW),
    "contract.endpoint.query": Refusal("an endpoint holds a query", SCRIPT_DOES_NOT_KNOW),
    "contract.endpoint.fragment": Refusal("an endpoint holds a fragment", SCRIPT_DOES_NOT_KNOW),
    "contract.endpoint.host": Refusal("an endpoint names no host", SCRIPT_DOES_NOT_KNOW),
    "contract.endpoint.malformed": Refusal("an endpoint cannot be read", SCRIPT_DOES_NOT_KNOW),
    "contract.endpoint.localhost": Refusal(
        "an endpoint is this machine, and nothing says that this is meant"
    ),
    "contract.endpoint.stale": Refusal("an endpoint is a retired one"),
    "contract.executor.no-cache": Refusal("an executor, and no cache"),
    "contract.executor.separate-cache": Refusal("the executor is another endpoint than the cache"),
    "contract.executor.proof-image": Refusal("an executor, and no digest of its worker image"),
    "contract.executor.header": Refusal("a header for an executor where there is none", SCRIPT_DOES_NOT_KNOW),
    "contract.strict.no-cache": Refusal("strict, and no cache"),
    "contract.manifest.unknown": Refusal(
        "strict, and the manifest declares a mode that is none of the three"
    ),
    "contract.manifest.mode": Refusal("strict, and the manifest declares another mode"),
    "contract.runner.hosted": Refusal("the job runs on a hosted runner"),
    "contract.runner.self-hosted": Refusal("the label self-hosted alone says nothing of the runner"),
    "contract.runner.repository": Refusal("a label is named after a repository"),
    "contract.runner.unknown": Refusal("no label is a capability class"),
    "contract.upload.value": Refusal("an upload variable is neither yes nor no"),
    "contract.upload.event": Refusal("uploads in a job that a pull request or merge queue started"),
    "contract.upload.site": Refusal("uploads where the site allows none", SCRIPT_DOES_NOT_KNOW),
    "contract.value.placeholder": Refusal("a value holds ${ or }: it was not expanded"),
    "contract.value.header": Refusal("a header is not name=value", SCRIPT_DOES_NOT_KNOW),
    "contract.value.number": Refusal("a number is none", SCRIPT_DOES_NOT_KNOW),
    "contract.value.boolean": Refusal("a value is neither yes nor no"),
    "contract.inject.entry": Refusal("an injected repository is not name=/absolute/directory"),
    "contract.inject.relative": Refusal("an injected repository's directory is a relative path"),
    "contract.inject.missing": Refusal("an injected repository's directory is not there"),
    "contract.reapi-token.both": Refusal("a token and a token file are both given"),
    "contract.reapi-token.missing": Refusal("a gf-reapi-cell is named and there is no token for it"),
    "contract.rbe-proof.mode": Refusal("the mode of a remote-execution proof is not explicit", SCRIPT_USAGE),
}

#: Why a proof of a cache is refused in an environment: something could execute remotely.
NO_EXECUTOR: Mapping[str, Refusal] = {
    "contract.no-executor.endpoint": Refusal("an executor is named", SCRIPT_DOES_NOT_KNOW),
    "contract.no-executor.mode": Refusal("the declared mode is executor-backed", SCRIPT_DOES_NOT_KNOW),
    "contract.no-executor.profile": Refusal("the profile state is executor-backed", SCRIPT_DOES_NOT_KNOW),
    "contract.no-executor.rbe-proof": Refusal("a remote-execution proof is asked for", SCRIPT_DOES_NOT_KNOW),
    "contract.no-executor.header": Refusal("a header for an executor is given", SCRIPT_DOES_NOT_KNOW),
}

#: What does not refuse anything, and what is worth a warning.
HAZARDS: Mapping[str, str] = {
    "hazard.attic-token": "ATTIC_TOKEN enables pushes to the Nix cache",
    "hazard.upload.on": "uploads to the shared cache are switched on",
    "hazard.upload.unset": "attached, and a wrapper that takes unset for true would upload",
    "hazard.upload.disagrees": "the two upload variables say different things",
    "hazard.profile.unset": "attached, and the enrolment verifier refuses a shell without a profile state",
    "hazard.mode.unset": "attached, and the wrappers refuse a shell that declares no mode",
    "hazard.nix.partial": "the Nix cache is attached by half",
    "hazard.flake.replaces": "a flake replaces the substituters or keys that are set elsewhere",
    "hazard.instance-name": "the instance name has none of the known shapes",
    "hazard.manifest.mode": "the manifest declares a mode that refuses this shell in strict recipes",
    "hazard.envrc.overrides": "a .envrc sets or unsets a variable of the contract",
    "hazard.local-file.tracked": "git tracks a file that belongs to one machine",
    "hazard.rc.uploads": "an rc file switches uploads on",
    "hazard.rc.uploads-unsaid": "an rc file names a cache and does not switch uploads off",
    "hazard.rc.endpoint": "an rc file holds an endpoint",
    "hazard.rc.credential": "an rc file holds a header or credential",
    "hazard.rc.placeholder": "an rc file holds a variable, which Bazel does not expand",
    "hazard.rc.executor": "an rc file selects an executor by default",
    "hazard.rc.disk-cache": "a disk cache hides what the shared cache serves",
    "hazard.rc.no-hits": "an rc file keeps what the cache holds from being used",
    "hazard.rc.digest": "an rc file sets another digest function than caches have",
    "hazard.rc.instance": "an rc file names an instance of the cache",
    "hazard.rc.config-cycle": "configs select one another in a circle",
    "hazard.rc.import": "an rc file imports a file that is not there",
    "hazard.rc.outranks": "an rc file gives a command of its own what the fragment says for build",
    "hazard.rc.action-env": "an rc file takes a machine's own values into the keys of actions",
    "hazard.stale-host": "a file names a retired host",
    "hazard.tracked.endpoint": "a tracked file names a host inside the cluster or a private address",
    "hazard.wrapper.uploads": "a wrapper uploads unless it is told not to",
}

#: Errors of what is written: what was asked for cannot be done, whatever the contract says.
ERRORS: Mapping[str, str] = {
    "contract.manifest.unreadable": "tinyland.repo.json is no manifest",
    "contract.env.nix-path": "Nix cannot include a file of that path",
    "contract.env.secret": "$GITHUB_ENV would spell out a value that may be a secret",
    "contract.env.carriage-return": "$GITHUB_ENV cannot hold a carriage return",
    "contract.local-file.secret": "a secret would stand in a file",
    "contract.local-file.lines": "a value has several lines, and the file has one a variable",
    "contract.local-file.tracked": "git tracks the file that would be written",
    "contract.local-file.exposed": "git does not ignore the file that would be written",
    "contract.local-file.unknown": "git cannot say whether it would track the file",
    "contract.local-file.unattached": "no Bazel cache is attached, so there is nothing to write",
    "contract.consumer.profile": "there is no such profile",
    "contract.consumer.endpoint": "the profile needs an endpoint, and there is none",
    "contract.consumer.secret": "a header is a secret, and would stand in a file",
}
