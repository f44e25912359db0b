"""From a realisation to a phase: the hits and their moment, what they prove, or why there are none. Pure.

The moment of a hit is the arrival of the `stop` of its substitution: by then Nix has the NAR, has
checked its hash and signature, and has registered the path, all within the activity. It is stamped
when it is read, and so is never earlier than the truth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gfattach.core.errors import NixError, UnprovedError
from gfattach.nix.activity import Activity, ActivityLog, ActivityType
from gfattach.proof.evidence import Client, Phase, PhaseName
from gfattach.proof.nix.realisation import Outcome, Realisation

#: Complaints of Nix that a phase keeps.
SAID_LIMIT = 5

NOTHING_TO_HIT = "the cache says that it has none of them (to Nix, 401 and 403 say so too)"

#: What Nix puts before a complaint, and its last one, which only sums up.
_BEFORE = re.compile(r"^((error|warning)( \(ignored\))?:\s*)+")
_SUMMARY = re.compile(r"(error:\s*)?(build of .* failed|some substitutes for the outputs of)", re.DOTALL)


#: What Nix says when nothing comes, in the order in which it is looked for, with the code and the next
#: step. The words are those of 2.8 to 2.31; what no row fits is `nix.nothing`.
_FAILURES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("does not appear to be a binary cache", "is for Nix stores with prefix"),
        "nix.not-a-cache",
        "what answers there is no binary cache for /nix/store: gfattach status",
    ),
    (
        ("is corrupt",),
        "nix.corrupt",
        "a login page or an error page may stand before the cache: gfattach status",
    ),
    (
        ("unable to download", "unable to open"),
        "nix.unreachable",
        "see where the way to the cache ends: gfattach status",
    ),
)

_SIGNATURE_HINT = (
    "compare the site's public key with the one that the operator signs with: gfattach site show"
)
_NAR_HINT = "the cache names the path and its NAR cannot be taken: gfattach status"
_PUBLISH_HINT = "an operator publishes it; how, a probe of the substituter says: gfattach status"
_INCOMPLETE_HINTS = (
    "a cache that leaves out what another has (Attic does, of cache.nixos.org) proves only what it holds "
    "whole: name such a path",
    "operator: push all: attic push --ignore-upstream-cache-filter CACHE PATH, or nix copy --to URL",
)


def phase_of(done: Realisation) -> Phase:
    """The phase that a realisation is.

    A cache that has none of the paths, or not what they refer to, makes a phase without hits. Raises NixError
    (`nix.crashed`) for a Nix that did not come to an end, and UnprovedError when nothing came and it was not
    for want of a path: `nix.late`, `nix.signature`, `nix.nar`, `nix.not-a-cache`, `nix.corrupt`,
    `nix.unreachable`, `nix.nothing`.
    """
    outcomes = {path: done.outcome(path) for path in done.paths}
    hits = [path for path, outcome in outcomes.items() if outcome is Outcome.HIT]
    violations = done.violations()
    _require_an_end(done)
    wanting = (Outcome.NOT_PUBLISHED, Outcome.INCOMPLETE)
    nothing = all(outcome in wanting for outcome in outcomes.values())
    if done.name is PhaseName.HIT and not hits and not violations and not nothing:
        raise _failure(done)
    asked = [path for path in done.paths if not _spared(path, done, outcomes)]
    proved, reason = _key(done, hits)
    return Phase(
        client=Client.NIX,
        name=done.name,
        started=done.started,
        seconds=done.seconds,
        asked=len(asked),
        hits=len(hits),
        local=len(done.log.of(ActivityType.BUILD)),
        first_hit=_first_hit(done, hits),
        rpcs=_requests(done.log),
        violations=violations,
        detail={
            **done.detail,
            "substituter": done.uri,
            "nothing_to_hit": nothing,
            **_shortfall(done, asked, outcomes),
            "paths": {path: outcome.value for path, outcome in outcomes.items()},
            "key_proved": proved,
            "key_reason": reason,
            "substituted": len(done.substitutions()),
            "bytes": sum(a.bytes for a in done.log.of(ActivityType.TRANSFER) if _kind(a) == "nar"),
            "stages": _stages(done),
            "said": done.complaints()[:SAID_LIMIT],
        },
    )


def _spared(path: str, done: Realisation, outcomes: Mapping[str, Outcome]) -> bool:
    """Whether `path` could not have been served and need not have been, as another was."""
    return (
        path == done.spare
        and outcomes[path] is Outcome.NOT_PUBLISHED
        and any(outcome is Outcome.HIT for outcome in outcomes.values())
    )


def _shortfall(done: Realisation, asked: list[str], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """The `reason` why not all came that was asked for, and `remedies`; nothing when all did."""
    if done.name is not PhaseName.HIT:
        return {}
    if all(outcome is Outcome.NOT_PUBLISHED for outcome in outcomes.values()):
        return {"reason": NOTHING_TO_HIT, "remedies": [_PUBLISH_HINT]}
    lacking = [path for path in asked if outcomes[path] is Outcome.INCOMPLETE]
    if lacking:
        return {"reason": _incomplete(done, lacking[0]), "remedies": [*_INCOMPLETE_HINTS]}
    for path in asked:
        if outcomes[path] is Outcome.NOT_PUBLISHED:
            return {"reason": f"the cache has not got {path}", "remedies": [_PUBLISH_HINT]}
        if outcomes[path] is Outcome.NOT_SIGNED:
            return {"reason": f"{path} is not signed by a trusted key", "remedies": [_SIGNATURE_HINT]}
        if outcomes[path] is Outcome.FAILED and (unsigned := done.unsigned()):
            return {"reason": _short(unsigned), "remedies": [_SIGNATURE_HINT]}
        if outcomes[path] is Outcome.FAILED:
            return {"reason": f"{path} did not come", "remedies": [_NAR_HINT]}
    return {}


def _incomplete(done: Realisation, path: str) -> str:
    more = f" and {len(done.lacking) - 1} more" if len(done.lacking) > 1 else ""
    return f"the cache has {path} and lacks {done.lacking[0]}{more}, which it refers to"


def _key(done: Realisation, hits: list[str]) -> tuple[bool, str]:
    """Whether a hit proves the key, and the sentence that says so."""
    if not hits:
        return False, "nothing came"
    for path in hits:
        entry = done.offered.get(path)
        if entry is None or entry.content_addressed:
            continue
        names = [signature.partition(":")[0] for signature in entry.signatures]
        if trusted := [name for name in names if name in done.keys]:
            return True, f"{path} was taken for its signature by {trusted[0]}"
    if any(done.offered.get(path) is None for path in hits):
        return False, "what Nix keeps of the answers could not be read"
    return False, "what came is content-addressed: it proves the transport, and needs no signature"


def _first_hit(done: Realisation, hits: list[str]) -> float | None:
    """The earliest end of a substitution that succeeded: of a path asked for, or of what it refers to."""
    good = done.substitutions() if done.exit_code == 0 else [a for p in hits for a in done.substitutions(p)]
    ends: dict[str, float] = {}
    for activity in good:
        if activity.stopped is not None:
            path = activity.field(0)
            ends[path] = max(activity.stopped, ends.get(path, activity.stopped))
    return min(ends.values(), default=None) if hits else None


def _kind(transfer: Activity) -> str:
    url = transfer.field(0)
    if url.endswith("/nix-cache-info"):
        return "info"
    return "narinfo" if url.endswith(".narinfo") else "nar"


def _stages(done: Realisation) -> dict[str, float]:
    """Seconds by stage: until Nix first spoke, then from the first start to the last end of each kind
    of transfer. Transfers of different kinds may overlap."""
    spans: dict[str, tuple[float, float]] = {}
    for transfer in done.log.of(ActivityType.TRANSFER):
        if transfer.stopped is not None:
            begin, end = spans.get(_kind(transfer), (transfer.started, transfer.stopped))
            spans[_kind(transfer)] = (min(begin, transfer.started), max(end, transfer.stopped))
    first = {} if done.log.first is None else {"start": (done.started, done.log.first)}
    return {name: round(end - begin, 4) for name, (begin, end) in (first | spans).items()}


def _requests(log: ActivityLog) -> dict[str, int]:
    counts: dict[str, int] = {}
    for transfer in log.of(ActivityType.TRANSFER):
        name = f"GET {'nix-cache-info' if _kind(transfer) == 'info' else _kind(transfer)}"
        counts[name] = counts.get(name, 0) + 1
    return counts


def _require_an_end(done: Realisation) -> None:
    said = done.complaints()[-1:]
    hints = [f"it said: {said[0][:400]}"] if said else []
    if done.exit_code is None:
        raise UnprovedError(
            f"Nix had nothing of {done.uri} within {done.seconds:.0f} s",
            *hints,
            "see where the way to the cache ends: gfattach status",
            code="nix.late",
        )
    if done.exit_code < 0:
        raise NixError(
            f"Nix was ended by signal {-done.exit_code} while it asked {done.uri}", *hints, code="nix.crashed"
        )


def _failure(done: Realisation) -> UnprovedError:
    """The error for a realisation that got nothing, though not for want of a path."""
    nothing = f"Nix took nothing from {done.uri}"
    said = [text for text in done.complaints() if not _SUMMARY.match(text)]
    for path in done.paths:
        if done.outcome(path) is Outcome.NOT_SIGNED:
            why = f"{path} is not signed by a trusted key"
            return UnprovedError(f"{nothing}: {why}", _SIGNATURE_HINT, code="nix.signature")
    if unsigned := done.unsigned():
        return UnprovedError(f"{nothing}: {_short(unsigned)}", _SIGNATURE_HINT, code="nix.signature")
    first = _short(said[0]) if said else f"it exited with {done.exit_code}"
    if done.substitutions():
        return UnprovedError(f"{nothing}: {first}", _NAR_HINT, code="nix.nar")
    for needles, code, hint in _FAILURES:
        for text in said:
            if any(needle in text for needle in needles):
                return UnprovedError(f"{nothing}: {_short(text)}", hint, code=code)
    return UnprovedError(
        f"{nothing}: {first}", "see what the cache answers: gfattach status", code="nix.nothing"
    )


def _short(text: str) -> str:
    """A complaint on one line, without what Nix puts before it and without the page it came with."""
    text = _BEFORE.sub("", " ".join(text.split()))
    return text.partition(" response body:")[0][:300]
