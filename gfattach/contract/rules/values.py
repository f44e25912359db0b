"""Rules for everything else: uploads, and the values that become options of Bazel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from gfattach.contract.model.display import shown, shown_text
from gfattach.contract.model.terms import Reading, Reason, refuse
from gfattach.contract.model.variables import (
    BY_NAME,
    FALSE_WORDS,
    HEADER_VARIABLES,
    TRUE_WORDS,
    UPLOAD_VARIABLES,
    lines_of,
    value_of,
)
from gfattach.contract.rules.endpoint import has_placeholder
from gfattach.core.endpoint import EndpointError, parse_endpoint
from gfattach.credential.hosts import is_cell

#: Events of GitHub that run code which nobody has accepted yet.
UNTRUSTED_EVENTS = ("pull_request", "merge_group")

#: Variables whose value, or each line of it, must not be a placeholder.
_PLACEHOLDER_VARIABLES = tuple(
    variable.name for variable in BY_NAME.values() if "contract.value.placeholder" in variable.refusals
)

TOKEN_VARIABLES = ("GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE", "GF_REAPI_CREDENTIAL_HELPER_TOKEN")


def asks_upload(environment: Mapping[str, str]) -> bool:
    """Whether either of the upload variables says yes."""
    return any(value_of(environment, name) in TRUE_WORDS for name in UPLOAD_VARIABLES)


def untrusted_event(environment: Mapping[str, str]) -> str | None:
    """The event, where this is a job that a pull request or a merge queue started."""
    event = value_of(environment, "GITHUB_EVENT_NAME")
    return event if event.startswith(UNTRUSTED_EVENTS) else None


def upload_rules(reading: Reading) -> Iterator[Reason]:
    """Whether uploads are asked for in a way that can be understood, and allowed."""
    for name in UPLOAD_VARIABLES:
        value = reading.value(name)
        if value not in TRUE_WORDS | FALSE_WORDS:
            yield refuse(
                "contract.upload.value",
                name,
                f"{name} is {shown_text(value)}, which is neither yes nor no",
                "a wrapper that reads it otherwise would write to the shared cache",
                f"export {name}=false",
            )
        if value not in TRUE_WORDS:
            continue
        if event := untrusted_event(reading.environment):
            yield refuse(
                "contract.upload.event",
                name,
                f"{name} is {value}, and the job was started by {shown_text(event)}",
                "what such a job builds, nobody has accepted yet, and everybody would be served it",
                f"export {name}=false",
            )
        if reading.may_upload is False:
            yield refuse(
                "contract.upload.site",
                name,
                f"{name} is {value}, and the site allows no uploads from here",
                "the operator decides which lanes write to the shared cache",
                f"export {name}=false",
                "what the site says: gfattach site show",
            )


def value_rules(reading: Reading) -> Iterator[Reason]:
    """Values that become options of Bazel, each by itself."""
    environment = reading.environment
    for name in _PLACEHOLDER_VARIABLES:
        if has_placeholder(reading.value(name)):
            yield refuse(
                "contract.value.placeholder",
                name,
                f"{name} holds an unexpanded ${{...}}",
                "Bazel would take the placeholder as it stands",
                f"unset {name}",
                "or write the value itself",
            )
    for name in HEADER_VARIABLES:
        for number, line in enumerate(lines_of(environment, name), 1):
            if not line.partition("=")[0].strip() or "=" not in line:
                yield refuse(
                    "contract.value.header",
                    name,
                    f"{name} holds something else than name=value (entry {number})",
                    "Bazel takes headers as name=value and ends with 2 on anything else",
                    f"unset {name}",
                )
    name = "BAZEL_REMOTE_MAX_CONNECTIONS"
    value = reading.value(name)
    if value and not has_placeholder(value) and not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
        yield refuse(
            "contract.value.number",
            name,
            f"{name} is {shown_text(value)}, which is no number",
            "Bazel takes a number of connections, and ends with 2 on anything else",
            f"unset {name}",
        )
    name = "GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD"
    if reading.value(name) not in TRUE_WORDS | FALSE_WORDS:
        yield refuse(
            "contract.value.boolean",
            name,
            f"{name} is {shown(environment, name)}, which is neither yes nor no",
            "a build that should download nothing would not be told so",
            f"export {name}=true, or unset it",
        )
    if all(reading.value(name) for name in TOKEN_VARIABLES):
        yield refuse(
            "contract.reapi-token.both",
            TOKEN_VARIABLES[1],
            f"{' and '.join(TOKEN_VARIABLES)} are both set",
            "they could be two different tokens",
            f"keep the file: unset {TOKEN_VARIABLES[1]}",
        )
    name = "GF_RBE_PROOF_MODE"
    if reading.value(name) not in ("", "explicit"):
        yield refuse(
            "contract.rbe-proof.mode",
            name,
            f"{name} is {shown(environment, name)}, and explicit is all that it may be",
            "a proof of remote execution is asked for in so many words, or not at all",
            f"unset {name}",
        )
    yield from _inject_rules(reading)


def _inject_rules(reading: Reading) -> Iterator[Reason]:
    name = "GF_BAZEL_INJECT_REPOSITORIES"
    for entry in reading.value(name).split(":"):
        repository, equals, directory = entry.partition("=")
        if not entry:
            continue
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", repository):
            yield refuse(
                "contract.inject.entry",
                name,
                f"{name} holds {shown_text(entry)}, which is not name=/absolute/directory",
                "Bazel would not know which repository is meant",
                f"export {name}=NAME=/absolute/directory",
            )
        elif not directory.startswith("/"):
            yield refuse(
                "contract.inject.relative",
                name,
                f"{name} gives {shown_text(repository)} the path {shown_text(directory) or 'of nothing'}, "
                "which is not absolute",
                "Bazel would look for it in another place than this shell",
                f"export {name}={repository}=/absolute/directory",
            )


def injected_repositories(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The repositories to inject, name and directory; entries that the rules refuse are left out."""
    entries = value_of(environment, "GF_BAZEL_INJECT_REPOSITORIES").split(":")
    pairs = (entry.partition("=")[::2] for entry in entries)
    return tuple((name, directory) for name, directory in pairs if name and directory.startswith("/"))


def needs_reapi_token(endpoint: str) -> bool:
    """Whether the host of `endpoint` is a GloriousFlywheel REAPI cell, which asks for a token."""
    try:
        host = parse_endpoint(endpoint).host
    except EndpointError:
        return False
    return is_cell(host)


def disk_reasons(
    environment: Mapping[str, str],
    *,
    is_directory: Callable[[str], bool],
    is_file: Callable[[str], bool],
) -> tuple[Reason, ...]:
    """What only the disk can tell, asked of it through the two functions, which must not raise."""
    return tuple(_disk_rules(environment, is_directory, is_file))


def _disk_rules(
    environment: Mapping[str, str], is_directory: Callable[[str], bool], is_file: Callable[[str], bool]
) -> Iterator[Reason]:
    name = "GF_BAZEL_INJECT_REPOSITORIES"
    for repository, directory in injected_repositories(environment):
        if not is_directory(directory):
            yield refuse(
                "contract.inject.missing",
                name,
                f"{name} gives {repository} the directory {shown_text(directory)}, which is not there",
                "Bazel would fail on it",
                f"make it, or take the entry out of {name}",
            )
    endpoint = value_of(environment, "BAZEL_REMOTE_EXECUTOR") or value_of(environment, "BAZEL_REMOTE_CACHE")
    file_name, token_name = TOKEN_VARIABLES
    file = value_of(environment, file_name)
    if not needs_reapi_token(endpoint) or value_of(environment, token_name):
        return
    if not is_file(file or BY_NAME[file_name].default):
        seen = f"the file in {file_name} is not there" if file else f"{file_name} is unset"
        yield refuse(
            "contract.reapi-token.missing",
            file_name,
            f"the endpoint is a gf-reapi-cell, and {seen}",
            "a cell answers nobody without a token",
            f"export {file_name}=/path/to/token",
        )
