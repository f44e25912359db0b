"""`inputs authority`: what the site offers, looked at live where that is asked, and the gate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.engine import Run
from gfattach.core.errors import ExitCode
from gfattach.core.files import locked, make_private_directory, read_json, write_json
from gfattach.core.finding import Finding, ok, warn
from gfattach.core.paths import Home, state_directory
from gfattach.inputs.authority.states import Gate, Offer, gate_of
from gfattach.inputs.contract.coverage import Coverage, cover, shelf_of
from gfattach.inputs.contract.document import read_contract
from gfattach.inputs.materialise.credentials import Credentials, helpers_of
from gfattach.inputs.materialise.fetch import Fetcher, State, client_factory
from gfattach.inputs.materialise.plan import plan_repository_cache
from gfattach.inputs.materialise.sources import source_of
from gfattach.inputs.model.host import platform_name
from gfattach.inputs.model.input import Input
from gfattach.inputs.place import InputsOptions
from gfattach.site.site import Site

EVIDENCE_SCHEMA = "gfattach.inputs-evidence/1"


class AuthorityOptions(Struct, frozen=True):
    """`verify` looks at every place now; otherwise dated evidence decides."""

    inputs: InputsOptions
    verify: bool = False
    helpers: tuple[str, ...] = ()
    ca_file: Path | None = None


class Authority(Struct, frozen=True):
    """The gate, and the places that were asked about."""

    gate: Gate
    offers: tuple[Offer, ...]

    @property
    def exit_code(self) -> ExitCode:
        """0 where the gate is open, 4 where that is not proved."""
        return ExitCode.GOOD if self.gate.open else ExitCode.UNPROVED

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        offers = [{"kind": each.kind, "place": each.place, "durable": each.durable} for each in self.offers]
        return {**self.gate.as_json(), "offers": offers}


def offers_of(site: Site) -> tuple[Offer, ...]:
    """The places that the site says it has."""
    durable = site.get("inputs.durable") or ()
    found = []
    cache, mirror = site.get("inputs.repository_cache"), site.get("inputs.mirror")
    if cache is not None:
        found.append(Offer("repository-cache", str(cache), "repository-cache" in durable))
    found += [Offer("distdir", str(each), "distdir" in durable) for each in site.get("inputs.distdirs") or ()]
    if mirror is not None:
        found.append(Offer("mirror", mirror.url, "mirror" in durable))
    return tuple(found)


def ask_authority(options: AuthorityOptions, run: Run) -> Authority:
    """The standing of every input of the contract. Raises GfattachError; a shut gate is no error."""
    inputs = read_contract(options.inputs.contract_file).on(platform_name())
    site = options.inputs.site()
    offers = offers_of(site)
    file = evidence_file(options.inputs.home)
    evidence = read_evidence(file)
    if options.verify:
        for offer in offers:
            run.step(
                offer.kind,
                f"look at every input in {offer.place}",
                _looking(offer, inputs, options, evidence),
            )
        make_private_directory(file.parent)
        with locked(file.with_suffix(".lock")):
            write_json(file, _document(evidence))
    gate = gate_of(inputs, offers, evidence, float(site.get("inputs.verify_days")))

    def conclude(progress: object) -> Mapping[str, Finding]:
        if gate.open:
            return {"authority": ok("inputs.authority.durable", f"the gate is open: {gate.answer}")}
        why = next((each.why for each in gate.standings if not each.state.durable), "")
        return {
            "authority": warn(
                "inputs.authority.none",
                f"the gate stays shut: {gate.answer} ({gate.state.value})",
                why,
                *(() if options.verify or not offers else ("look now: gfattach inputs authority --verify",)),
            )
        }

    run.step("authority", "what stands behind the inputs", conclude)
    return Authority(gate, offers)


def evidence_file(home: Home) -> Path:
    """Where the evidence of a workspace is kept: not in the workspace, which is not trusted with it."""
    return state_directory() / "inputs" / f"{home.key}.json"


Found = dict[str, dict[str, datetime]]


def read_evidence(path: Path) -> Found:
    """The dated evidence; what cannot be understood counts as none. Raises StorageError."""
    document = read_json(path)
    found: Found = {}
    if not isinstance(document, dict) or document.get("schema") != EVIDENCE_SCHEMA:
        return found
    for key, entries in document.get("verified", {}).items():
        for integrity, moment in entries.items():
            try:
                at = datetime.fromisoformat(moment)
            except (TypeError, ValueError):
                continue
            if at.tzinfo is not None:
                found.setdefault(key, {})[integrity] = at
    return found


def _document(evidence: Found) -> dict[str, Any]:
    verified = {
        key: {integrity: at.isoformat() for integrity, at in entries.items()}
        for key, entries in evidence.items()
    }
    return {"schema": EVIDENCE_SCHEMA, "verified": verified}


def _looking(
    offer: Offer, inputs: Sequence[Input], options: AuthorityOptions, evidence: Found
) -> Callable[[Callable[[str], None]], Mapping[str, Finding]]:
    def look(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        wanted = [each for each in inputs if each.checksum is not None]
        held = _held_locally(offer, wanted) if offer.kind != "mirror" else _held_by(offer, wanted, options)
        now = datetime.now(UTC)
        evidence[offer.key] = dict.fromkeys(held, now)
        seen = f"{offer.place} holds {len(held)} of {len(wanted)} inputs"
        if len(held) == len(wanted):
            return {offer.key: ok("inputs.authority.seen", seen)}
        lacking = [each.name for each in wanted if each.checksum and each.checksum.sri not in held]
        return {
            offer.key: warn(
                "inputs.authority.lacks",
                f"{seen}; it lacks {', '.join(lacking[:5])}",
                "it is no authority for these",
            )
        }

    return look


def _held_locally(offer: Offer, inputs: Sequence[Input]) -> set[str]:
    place = Path(offer.place)
    shelf = shelf_of((), place) if offer.kind == "repository-cache" else shelf_of((place,), None)
    return {
        each.input.checksum.sri
        for each in cover(inputs, shelf)
        if each.coverage is Coverage.COVERED and each.input.checksum is not None
    }


def _held_by(offer: Offer, inputs: Sequence[Input], options: AuthorityOptions) -> set[str]:
    """What a mirror gives, fetched and compared: a list of names would not show a single byte."""
    environ = options.inputs.environ
    credentials = Credentials(helpers_of(options.helpers, environ), environ)
    with tempfile.TemporaryDirectory(prefix="gfattach-mirror-") as name:
        fetcher = Fetcher(
            source_of(offer.place), client_factory(credentials.headers, environ, options.ca_file)
        )
        results = fetcher.run(plan_repository_cache(inputs, Path(name)), Path(name))
        return {each.task.checksum.sri for each in results if each.state is State.FETCHED}
