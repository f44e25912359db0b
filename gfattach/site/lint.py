"""What is wrong with a site's file: every fault with its line, where the reader stops at the first.

Pure: the content is given, and whether git tracks the file. A finding never shows a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from gfattach.contract.hazards.files import tracked_text_hazards
from gfattach.core.errors import UsageError
from gfattach.core.finding import Finding, fail, warn
from gfattach.site.document import entries, read_tables
from gfattach.site.secrets import refuse_secret, secret_in
from gfattach.site.settings import BY_KEY

#: Codes of findings, with their meaning. The last four are warnings.
CODES: Mapping[str, str] = {
    "site.lint.toml": "the file is not TOML",
    "site.lint.key": "there is no such setting",
    "site.lint.secret": "it is, or looks like, a secret",
    "site.lint.value": "the value is not what the setting may be",
    "site.lint.stale": "it names a retired service",
    "site.lint.both": "two settings are said of which one is enough",
    "site.lint.nix-tls": "a Nix cache behind a forward under an https:// name",
    "site.lint.allow": "what the file says that its reader has to allow once",
    "site.lint.tracked": "git tracks the file, and it names an address that is right for one place only",
    "site.lint.alone": "a setting that belongs to another one, which is not said",
    "site.lint.keys": "a Nix cache without a public key: Nix will not trust it",
    "site.lint.executor": "a remote executor: never used, and refused where a cache is proved",
    "site.lint.reads-only": "the store below the Nix cache is for reads alone",
}

#: Entries of a file that are checked: there are far fewer settings, and a site has each once.
MOST = 200

#: What an error of the reader is among the codes; everything else is a fault of the value.
_BY_ERROR = {
    "site.secret": "site.lint.secret",
    "endpoint.userinfo": "site.lint.secret",
    "site.stale": "site.lint.stale",
    "site.key.table": "site.lint.key",
    "site.key.unknown": "site.lint.key",
}

_WHY = {
    "site.lint.secret": "a site is committed, published and shown: a secret in it is known to everyone",
    "site.lint.stale": "nothing answers there that should be trusted",
}

#: Settings that mean nothing without one of the others.
_BELONGS: Mapping[str, tuple[str, ...]] = {
    "cache.service_port": ("cache.service",),
    "cache.namespace": ("cache.service",),
    "cache.ca_file": ("cache.endpoint", "cache.service"),
    "cache.ca_data": ("cache.endpoint", "cache.service"),
    "nix.service_port": ("nix.service",),
    "nix.namespace": ("nix.service",),
    "nix.cache": ("nix.service",),
    "nix.ca_file": ("nix.substituter", "nix.service"),
    "nix.ca_data": ("nix.substituter", "nix.service"),
    "nix.signed_path": ("nix.substituter", "nix.service"),
}


def lint(content: bytes, source: str, *, tracked: bool = False) -> tuple[Finding, ...]:
    """Everything that is wrong with the file `source`, or warned of, in the order of its lines."""
    try:
        tables = read_tables(content, source)
    except UsageError as error:
        at = re.search(r"\(at line (\d+)", error.fact)
        line = int(at[1]) if at else content.count(b"\n") + 1 if "(at end of" in error.fact else None
        why = "nothing in it can be read"
        return (fail("site.lint.toml", error.fact, why, *error.hints, **_place(source, line)),)
    text = content.decode("utf-8")
    lines = _lines(text)
    found = [*_faults(tables, source, lines), *_hidden(text, source), *_warnings(tables, source, lines)]
    if tracked:
        found += _tracked(text, source)
    unique = {(finding.code, finding.data["line"], finding.data.get("key")): finding for finding in found}
    return tuple(sorted(unique.values(), key=lambda finding: finding.data["line"] or 0))


def _faults(tables: Mapping[str, Any], source: str, lines: Mapping[str, int]) -> Iterator[Finding]:
    for key, raw, fault in islice(entries(tables, source), MOST):
        if fault is not None:
            yield _finding(fault, source, lines.get(key), key)
        try:
            if fault is None:
                BY_KEY[key].read(raw, key)
            else:
                refuse_secret(raw, key)
        except UsageError as error:
            yield _finding(error, source, lines.get(key), key)
    nix = tables.get("nix")
    if isinstance(nix, dict) and "service" in nix and str(nix.get("substituter", "")).startswith("https:"):
        line = lines.get("nix.substituter")
        yield fail(
            "site.lint.nix-tls",
            f"{_at(source, line)}: nix.substituter is https://, and nix.service is said too",
            "Nix has no way to a name but the network: a forward cannot stand behind it",
            "leave one of them: the address where machines reach it, the Service where they do not",
            **_place(source, line, "nix.substituter"),
        )
    for section in ("cache", "nix"):
        content = tables.get(section)
        if isinstance(content, dict) and "ca_file" in content and "ca_data" in content:
            key = f"{section}.ca_data"
            yield fail(
                "site.lint.both",
                f"{_at(source, lines.get(key))}: {section}.ca_file and {key} are both said",
                "it is not known which authority is meant",
                f"take one out; {key} is the one that can be published",
                **_place(source, lines.get(key), key),
            )


def _finding(error: UsageError, source: str, line: int | None, key: str) -> Finding:
    code = _BY_ERROR.get(error.code, "site.lint.value")
    seen = f"{_at(source, line)}: {error.fact.removeprefix(f'{source}: ')}"
    return fail(code, seen, _WHY.get(code, ""), *error.hints, **_place(source, line, key))


def _hidden(text: str, source: str) -> Iterator[Finding]:
    """Secrets in comments: they are not read, and are committed all the same."""
    for number, line in enumerate(text.split("\n"), 1):
        comment = line.partition("#")[2]
        secret = secret_in(comment)
        if secret is not None:
            yield fail(
                "site.lint.secret",
                f"{_at(source, number)} holds {secret} in a comment",
                _WHY["site.lint.secret"],
                "take it out, and replace the secret by another one wherever it is in use",
                **_place(source, number),
            )


def _warnings(tables: Mapping[str, Any], source: str, lines: Mapping[str, int]) -> Iterator[Finding]:
    said = {key: value for key, value, fault in entries(tables, source) if fault is None}

    def warning(code: str, key: str, seen: str, why: str, *hints: str) -> Finding:
        line = lines.get(key)
        return warn(code, f"{_at(source, line)}: {seen}", why, *hints, **_place(source, line, key))

    for key, others in _BELONGS.items():
        if key in said and not any(other in said for other in others):
            needed = " or ".join(others)
            why = "in this file it means nothing; it counts only where a stronger source says the other"
            yield warning("site.lint.alone", key, f"{key} is said without {needed}", why, f"say {needed} too")
    place = next((key for key in ("nix.substituter", "nix.service") if key in said), None)
    if place is not None and not said.get("nix.public_keys"):
        why = "Nix takes nothing from a cache whose key it does not trust"
        hint = 'name the key: public_keys = ["NAME:BASE64"]'
        yield warning("site.lint.keys", place, f"{place} is said without nix.public_keys", why, hint)
    if "executor.endpoint" in said:
        why = "gfattach never uses an executor, and refuses to attach a cache where one is named"
        hint = "take it out of what developers attach by"
        yield warning("site.lint.executor", "executor.endpoint", "a remote executor is named", why, hint)
    if said.get("nix.object_store") == "interim_only":
        why = "what is read from it is guarded by its signatures; nothing may be published on its word"
        yield warning(
            "site.lint.reads-only", "nix.object_store", "the store is interim_only: reads alone", why
        )


def _tracked(text: str, source: str) -> Iterator[Finding]:
    for hazard in tracked_text_hazards(source, text):
        if hazard.code == "hazard.tracked.endpoint":
            yield fail(
                "site.lint.tracked",
                f"{hazard.seen}, and git tracks the file",
                hazard.why,
                'name the Service instead: service = "NAME"',
                "or keep the line in a file of your own: gfattach help site",
                **_place(source, hazard.data["line"]),
            )


def _at(source: str, line: int | None) -> str:
    return source if line is None else f"{source}:{line}"


def _place(source: str, line: int | None, key: str | None = None) -> dict[str, Any]:
    return {"file": source, "line": line, "key": key}


_HEADER = re.compile(r"""\s*\[\s*["']?([A-Za-z0-9_-]+)["']?\s*\]""")
_ASSIGNMENT = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?(?:\s*\.\s*["']?([A-Za-z0-9_-]+)["']?)?\s*=""")


def _lines(text: str) -> dict[str, int]:
    """The line of each key. tomllib keeps no positions; what is written in rarer ways has no line here."""
    found: dict[str, int] = {}
    table, closing = "", ""
    for number, line in enumerate(text.split("\n"), 1):
        if closing:  # inside of a text of several lines
            closing = "" if closing in line else closing
            continue
        if header := _HEADER.match(line):
            table = header[1]
        elif assignment := _ASSIGNMENT.match(line):
            key = ".".join(part for part in (table, assignment[1], assignment[2]) if part)
            found.setdefault(key, number)
        closing = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
    return found
