"""The contract: the declared set of inputs, committed as JSON (`docs/schema/inputs-v1.json`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from gfattach.core.errors import UsageError
from gfattach.core.files import read_json, write_atomic
from gfattach.core.quote import word
from gfattach.inputs.model.input import Input

SCHEMA = "gfattach.inputs/1"

#: The file's name in a workspace, where no other is given.
FILE_NAME = "gfattach-inputs.json"


class Contract(Struct, frozen=True):
    """`inputs` are sorted; `targets` are those that they were listed for; `accepted` maps the names of inputs
    that cannot be covered to why somebody lives with that, written into the file by hand.
    """

    inputs: tuple[Input, ...]
    targets: tuple[str, ...] = ("//...",)
    bazel: str = ""
    accepted: Mapping[str, str] = field(default_factory=dict)

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms that it was listed on."""
        return tuple(sorted({name for each in self.inputs for name in each.platforms}))

    def on(self, platform: str) -> tuple[Input, ...]:
        """The inputs that this platform needs: its own, and those that are of no platform."""
        return tuple(each for each in self.inputs if not each.platforms or platform in each.platforms)

    def as_json(self) -> dict[str, Any]:
        """The document."""
        return {
            "schema": SCHEMA,
            "bazel": self.bazel,
            "targets": list(self.targets),
            "platforms": list(self.platforms),
            "inputs": [
                {
                    **each.as_json(),
                    **({"accepted": self.accepted[each.name]} if each.name in self.accepted else {}),
                }
                for each in self.inputs
            ],
        }


def read_contract(path: Path) -> Contract:
    """The contract at `path`. Raises UsageError (`inputs.contract.*`) and StorageError."""
    document = read_json(path)
    if document is None:
        raise UsageError(
            f"there is no contract {path}",
            f"write it: gfattach inputs contract --write {word(path.name)}",
            code="inputs.contract.missing",
        )
    try:
        if document["schema"] != SCHEMA:
            raise ValueError(f"its schema is {str(document['schema'])[:40]!r}, and {SCHEMA} was awaited")
        inputs = tuple(Input.from_json(each) for each in document["inputs"])
        accepted = {each["name"]: str(each["accepted"]) for each in document["inputs"] if "accepted" in each}
        targets = tuple(map(str, document["targets"]))
        return Contract(inputs, targets, str(document.get("bazel", "")), accepted)
    except UsageError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"{path} is no contract of inputs: {said}",
            "its shape: docs/schema/inputs-v1.json",
            f"write it anew: gfattach inputs contract --write {word(path.name)}",
            code="inputs.contract.format",
        ) from error


def made_of(
    needed: Sequence[Input], targets: Sequence[str], bazel: str, before: Contract | None, platform: str
) -> Contract:
    """The contract for what this platform needs now; what `before` says of other platforms stays."""
    merged: dict[tuple[object, ...], Input] = {each.identity: each for each in needed}
    for each in () if before is None else before.inputs:
        others = tuple(name for name in each.platforms if name != platform)
        if each.identity in merged:
            known = merged[each.identity]
            elsewhere = Input(each.name, each.kind, size=each.size, platforms=others)
            merged[each.identity] = known.merged(elsewhere)
        elif others:
            merged[each.identity] = Input(**{**asdict(each), "platforms": others})
    return Contract(
        sorted_inputs(merged.values()), tuple(targets), bazel, {} if before is None else before.accepted
    )


def write_contract(path: Path, contract: Contract) -> None:
    """Write it as a file to be committed: readable, sorted. Raises StorageError."""
    import json

    text = json.dumps(contract.as_json(), indent=2, ensure_ascii=False) + "\n"
    write_atomic(path, text.encode("utf-8", "surrogateescape"), mode=0o644)


def sorted_inputs(inputs: Iterable[Input]) -> tuple[Input, ...]:
    """In the order in which a contract has them."""
    return tuple(sorted(inputs, key=lambda each: (each.name, str(each.checksum), each.urls)))
