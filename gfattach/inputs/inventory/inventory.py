"""The inventory: what was declared and what was observed, put together, and what disagrees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.inputs.inventory.mentions import (
    OBSERVED,
    Mention,
    in_registry,
    known_by_registry,
    module_name,
    observed_inputs,
    registry_files,
)
from gfattach.inputs.inventory.observe import Observation
from gfattach.inputs.model.input import Input, Kind, holds_credential


class Disagreement(Struct, frozen=True):
    """Something that two sources say differently of one input, or that only one of them knows."""

    name: str
    what: str


class Inventory(Struct, frozen=True):
    """`inputs` in the order of names. `complete` says that the observation saw everything.

    `unreachable` maps names to why an input could not be had from upstream, `credentials` are the names of
    those with a credential in a URL.
    """

    inputs: tuple[Input, ...]
    disagreements: tuple[Disagreement, ...]
    complete: bool
    observed: bool
    unreachable: Mapping[str, str]
    credentials: tuple[str, ...]
    said: str = ""

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {
            "complete": self.complete,
            "observed": self.observed,
            "inputs": [
                {
                    **each.as_json(),
                    "sources": list(each.sources),
                    "generated_archive": each.generated,
                    "unreachable": self.unreachable.get(each.name),
                    "credential_in_url": each.name in self.credentials,
                }
                for each in self.inputs
            ],
            "disagreements": [{"name": each.name, "what": each.what} for each in self.disagreements],
        }

    @property
    def needed(self) -> tuple[Input, ...]:
        """Those that the targets need: what was observed, or everything where nothing was."""
        if not self.observed:
            return self.inputs
        return tuple(each for each in self.inputs if OBSERVED in each.sources or each.kind is Kind.REGISTRY)


def put_together(declared: Iterable[Mention], seen: Observation | None) -> Inventory:
    """One inventory from what is declared (each with its URLs as they were written) and what was seen."""
    merged: dict[tuple[object, ...], Input] = {}
    written: dict[tuple[object, ...], tuple[str, ...]] = {}
    observed = [] if seen is None else [*observed_inputs(seen), *registry_files(seen)]
    promised = set() if seen is None else in_registry(seen)
    observed = [(known_by_registry(item, promised), urls) for item, urls in observed]
    for item, urls in (*declared, *observed):
        known = merged.get(item.identity)
        merged[item.identity] = item if known is None else known.merged(item)
        written.setdefault(item.identity, urls)
    inputs = tuple(
        sorted(merged.values(), key=lambda each: (each.name, each.identity[1:] and str(each.checksum)))
    )
    if seen is not None and seen.needed_by:
        inputs = tuple(_attributed(each, seen) for each in inputs)
    credentials = {
        merged[key].name for key, urls in written.items() if any(holds_credential(url) for url in urls)
    }
    return Inventory(
        inputs,
        tuple(_disagreements(inputs, seen)),
        seen is not None and seen.complete,
        seen is not None,
        {} if seen is None else dict(_unreachable(merged, written, seen)),
        tuple(sorted(credentials)),
        "" if seen is None or seen.complete else seen.said,
    )


def _attributed(item: Input, seen: Observation) -> Input:
    targets = (
        target
        for target, repositories in seen.needed_by.items()
        if any(module_name(each) == item.repository for each in repositories)
    )
    return replace(item, targets=tuple(targets))


def _disagreements(inputs: Iterable[Input], seen: Observation | None) -> Iterator[Disagreement]:
    by_name: dict[str, list[Input]] = {}
    for each in inputs:
        by_name.setdefault(each.name, []).append(each)
    for name, same in by_name.items():
        sums = {each.checksum.sri: each for each in same if each.checksum is not None}
        if len(sums) > 1:
            said = " · ".join(f"{', '.join(each.sources)}: {sri}" for sri, each in sums.items())
            yield Disagreement(name, f"its checksum is said differently: {said}")
    if seen is None:
        return
    for each in inputs:
        if OBSERVED not in each.sources and each.kind is not Kind.REGISTRY:
            why = (
                "these targets on this platform do not need it"
                if seen.complete
                else "the observation ended early"
            )
            yield Disagreement(each.name, f"declared ({', '.join(each.sources)}) and not observed: {why}")
        elif each.sources == (OBSERVED,) and each.kind is not Kind.REGISTRY:
            yield Disagreement(
                each.name, "observed and not declared: a rule of its own, or an extension, asks for it"
            )


def _unreachable(
    merged: Mapping[tuple[object, ...], Input],
    written: Mapping[tuple[object, ...], tuple[str, ...]],
    seen: Observation,
) -> Iterator[tuple[str, str]]:
    for key, urls in written.items():
        item = merged[key]
        tried = [seen.fetches.urls[url] for url in urls if url in seen.fetches.urls]
        if item.checksum is not None and item.checksum.hex in seen.mismatched and not any(tried):
            hint = ": a regenerated archive?" if item.generated else ""
            yield item.name, f"upstream gave other bytes than its checksum says{hint}"
        elif tried and not any(tried):
            yield item.name, "upstream did not give it"
