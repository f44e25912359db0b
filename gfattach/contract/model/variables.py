"""The variables of the contract, as data: what each means, may be, and is refused for.

Documentation, display and the rules take names and secrecy from this table. An empty value
means the same as an unset one everywhere in the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class Secrecy(StrEnum):
    """How much of a value may be shown."""

    PUBLIC = "public"
    """All of it."""
    ENDPOINT = "endpoint"
    """Scheme, host and port: what people put around them may be a password."""
    SECRET = "secret"
    """Nothing but that it is set."""


class Variable(Struct, frozen=True):
    """One variable. `refusals`: codes of `gfattach.contract.model.codes`; `default` is what unset means."""

    name: str
    meaning: str
    allowed: str
    secrecy: Secrecy = Secrecy.PUBLIC
    default: str = ""
    refusals: tuple[str, ...] = ()


_SCHEMES = "grpc://, grpcs://, http:// or https://, a host, a port unless it is the scheme's own"
_ENDPOINT = (
    "contract.endpoint.placeholder",
    "contract.endpoint.scheme",
    "contract.endpoint.whitespace",
    "contract.endpoint.userinfo",
    "contract.endpoint.query",
    "contract.endpoint.fragment",
    "contract.endpoint.host",
    "contract.endpoint.malformed",
    "contract.endpoint.localhost",
    "contract.endpoint.stale",
)
_PLACEHOLDER = ("contract.value.placeholder",)
_HEADER = ("contract.value.placeholder", "contract.value.header")
_RUNNER = (
    "contract.runner.hosted",
    "contract.runner.self-hosted",
    "contract.runner.repository",
    "contract.runner.unknown",
)
_UPLOAD = ("contract.upload.value", "contract.upload.event", "contract.upload.site")

VARIABLES: tuple[Variable, ...] = (
    Variable(
        "BAZEL_REMOTE_CACHE",
        "the shared Bazel cache",
        _SCHEMES,
        Secrecy.ENDPOINT,
        refusals=("contract.strict.no-cache", *_ENDPOINT),
    ),
    Variable(
        "BAZEL_REMOTE_EXECUTOR",
        "the remote executor",
        f"{_SCHEMES}; the same as the cache",
        Secrecy.ENDPOINT,
        refusals=("contract.executor.no-cache", "contract.executor.separate-cache", *_ENDPOINT),
    ),
    Variable(
        "BAZEL_REMOTE_EXECUTOR_CACHE",
        "the cache that an executor uses, where it is another one",
        _SCHEMES,
        Secrecy.ENDPOINT,
        refusals=_ENDPOINT,
    ),
    Variable(
        "GF_BAZEL_SUBSTRATE_MODE",
        "the declared mode",
        "compatibility-local-only, shared-cache-backed, executor-backed",
        default="the mode that the endpoints amount to",
        refusals=("contract.mode.unknown", "contract.mode.disagrees"),
    ),
    Variable(
        "GF_FLYWHEEL_PROFILE_STATE",
        "how this machine is enrolled",
        "unattached, shared-cache-backed, executor-backed, local-proof",
        refusals=(
            "contract.profile.unknown",
            "contract.profile.unattached",
            "contract.profile.shared-cache-backed",
            "contract.profile.executor-backed",
            "contract.profile.local-proof-marker",
            "contract.profile.local-proof-mode",
        ),
    ),
    Variable(
        "GF_BAZEL_LOCAL_PROOF",
        "what a local proof goes through",
        "port-forward",
        refusals=("contract.profile.local-proof-marker",),
    ),
    Variable(
        "GF_BAZEL_ALLOW_LOCALHOST_PROOF",
        "lets an endpoint be on this machine",
        "exactly true",
        default="false",
        refusals=("contract.endpoint.localhost",),
    ),
    Variable(
        "GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE",
        "lets the executor differ from the cache",
        "exactly true",
        default="false",
        refusals=("contract.executor.separate-cache",),
    ),
    Variable(
        "GF_BAZEL_ALLOW_HOSTED_RUNNER",
        "lets a strict lane run on a hosted runner",
        "exactly true",
        default="false",
        refusals=_RUNNER,
    ),
    Variable(
        "GF_BAZEL_RUNNER_LABELS",
        "the labels of the CI runner, looked at under --strict and with an executor",
        "names parted by commas or spaces, one of them a capability class such as pool-nix",
        refusals=_RUNNER,
    ),
    Variable(
        "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST",
        "the digest of the executor's worker image",
        "a digest; needed with an executor",
        refusals=("contract.executor.proof-image",),
    ),
    Variable(
        "GF_BAZEL_REMOTE_UPLOAD",
        "whether results are written to the shared cache",
        "true, 1, yes, false, 0, no; true in trusted lanes only",
        default="false (one wrapper of the field takes unset for true)",
        refusals=_UPLOAD,
    ),
    Variable(
        "BAZEL_REMOTE_UPLOAD",
        "the older name of GF_BAZEL_REMOTE_UPLOAD",
        "as GF_BAZEL_REMOTE_UPLOAD",
        default="false",
        refusals=_UPLOAD,
    ),
    Variable(
        "GF_BAZEL_REMOTE_EXECUTION_PLATFORM",
        "the platform property gf.platform that is asked of an executor",
        "a name",
        default="gloriousflywheel-rbe-linux-x86_64",
    ),
    Variable(
        "GF_RBE_PROOF_MODE",
        "asks for a proof of remote execution",
        "explicit",
        refusals=("contract.rbe-proof.mode",),
    ),
    Variable("BAZEL_BIN", "the Bazel program", "a name or path", default="bazelisk, or else bazel"),
    Variable(
        "BAZEL_CREDENTIAL_HELPER",
        "programs that Bazel asks for credentials",
        "host=/path or /path, one a line",
        refusals=_PLACEHOLDER,
    ),
    Variable(
        "BAZEL_REMOTE_HEADER",
        "headers for the cache and the executor",
        "name=value, one a line",
        Secrecy.SECRET,
        refusals=_HEADER,
    ),
    Variable(
        "BAZEL_REMOTE_CACHE_HEADER",
        "headers for the cache",
        "name=value, one a line",
        Secrecy.SECRET,
        refusals=_HEADER,
    ),
    Variable(
        "BAZEL_REMOTE_EXEC_HEADER",
        "headers for the executor",
        "name=value, one a line; unset where there is no executor",
        Secrecy.SECRET,
        refusals=("contract.executor.header", *_HEADER),
    ),
    Variable(
        "BAZEL_REMOTE_INSTANCE_NAME",
        "the REAPI instance",
        "default, spoke-NAME, org-NAME, consumer-NAME",
        refusals=_PLACEHOLDER,
    ),
    Variable(
        "BAZEL_REMOTE_MAX_CONNECTIONS",
        "connections that Bazel opens to the cache at once; few suit a forward",
        "a number",
        refusals=("contract.value.placeholder", "contract.value.number"),
    ),
    Variable("BAZEL_OUTPUT_USER_ROOT", "Bazel's output user root", "a path", refusals=_PLACEHOLDER),
    Variable("BAZEL_OUTPUT_BASE", "Bazel's output base", "a path", refusals=_PLACEHOLDER),
    Variable("BAZEL_REPOSITORY_CACHE", "Bazel's repository cache", "a path", refusals=_PLACEHOLDER),
    Variable("BAZEL_DISTDIR", "directories with downloads", "paths parted by colons", refusals=_PLACEHOLDER),
    Variable(
        "GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD",
        "forbids Bazel to download repositories",
        "true, 1, yes, false, 0, no",
        default="false",
        refusals=("contract.value.boolean",),
    ),
    Variable(
        "GF_BAZEL_INJECT_REPOSITORIES",
        "repositories that are taken from this machine",
        "name=/absolute/directory, parted by colons",
        refusals=("contract.inject.entry", "contract.inject.relative", "contract.inject.missing"),
    ),
    Variable(
        "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE",
        "the file with the token for a gf-reapi-cell",
        "a path",
        default="/var/run/secrets/tokens/gf-reapi-cell-token",
        refusals=("contract.reapi-token.both", "contract.reapi-token.missing"),
    ),
    Variable(
        "GF_REAPI_CREDENTIAL_HELPER_TOKEN",
        "the token for a gf-reapi-cell itself",
        "a token",
        Secrecy.SECRET,
        refusals=("contract.reapi-token.both",),
    ),
    Variable(
        "ATTIC_SERVER",
        "the Nix cache's server",
        "http:// or https://; the substituter is ATTIC_SERVER/ATTIC_CACHE",
        Secrecy.ENDPOINT,
        refusals=("contract.endpoint.stale",),
    ),
    Variable("ATTIC_CACHE", "the name of the Nix cache", "a name", default="main"),
    Variable("ATTIC_PUBLIC_KEY", "the key that signs it", "NAME:BASE64"),
    Variable(
        "ATTIC_TOKEN", "lets this shell push to it", "a token; unset where one only reads", Secrecy.SECRET
    ),
    Variable(
        "NIX_CONFIG",
        "settings of Nix that come after every file's",
        "lines of nix.conf; a cache is attached with extra-substituters and extra-trusted-public-keys",
        Secrecy.SECRET,
        refusals=("contract.endpoint.stale",),
    ),
    Variable("NETRC", "the file with passwords for hosts", "a path; /dev/null in a read-only lane"),
    Variable("NIX_USER_CONF_FILES", "the files that stand for the user's nix.conf", "paths parted by colons"),
    Variable("GITHUB_ACTIONS", "whether this is a job of GitHub Actions", "true"),
    Variable("GITHUB_EVENT_NAME", "what started the job", "push, pull_request, merge_group and others"),
    Variable("CI", "whether this is a CI job", "anything"),
)

BY_NAME: Mapping[str, Variable] = {variable.name: variable for variable in VARIABLES}

#: The variables that hold the endpoint of something that Bazel talks to.
ENDPOINT_VARIABLES = ("BAZEL_REMOTE_CACHE", "BAZEL_REMOTE_EXECUTOR", "BAZEL_REMOTE_EXECUTOR_CACHE")

#: The variables that say whether results are written to the shared cache, the newer first.
UPLOAD_VARIABLES = ("GF_BAZEL_REMOTE_UPLOAD", "BAZEL_REMOTE_UPLOAD")

#: The variables that hold headers, one a line.
HEADER_VARIABLES = ("BAZEL_REMOTE_HEADER", "BAZEL_REMOTE_CACHE_HEADER", "BAZEL_REMOTE_EXEC_HEADER")

TRUE_WORDS = frozenset({"true", "1", "yes"})
FALSE_WORDS = frozenset({"false", "0", "no", ""})


def value_of(environment: Mapping[str, str], name: str) -> str:
    """The value of the variable `name`, "" for unset."""
    return environment.get(name, "")


def lines_of(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The values of a variable that holds one a line; blank lines count for nothing."""
    return tuple(line for line in value_of(environment, name).split("\n") if line.strip())
