"""A derivation without inputs: its text, its own path, and the path of its output.

The output of such a derivation is input-addressed: its name follows from the text below and not
from what a build makes of it, so a client accepts it from a cache on the strength of a signature
alone. Source: the Nix manual, "Derivation" (the ATerm format) and "Store path specification"
(an output path is that of type `output:out` for the SHA-256 of the derivation's text with its
output paths left empty). Checked against `nix-instantiate` and a real build.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import Struct, field

from gfattach.nixcache.storepath import StorePath, make_store_path, text_path

_ESCAPES = str.maketrans({'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


class Derivation(Struct, frozen=True):
    """What `derivation { name; system; builder; ... }` is given: all values texts, one output, `out`."""

    name: str
    system: str
    builder: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def output_path(self) -> StorePath:
        """The path that building it makes valid."""
        digest = hashlib.sha256(self._aterm("").encode()).digest()
        return make_store_path("output:out", digest, self.name)

    @property
    def aterm(self) -> str:
        """The text of its `.drv` file."""
        return self._aterm(str(self.output_path))

    @property
    def path(self) -> StorePath:
        """The path of its `.drv` file."""
        return text_path(f"{self.name}.drv", self.aterm.encode())

    def _aterm(self, out: str) -> str:
        environment = {
            **self.environment,
            "name": self.name,
            "system": self.system,
            "builder": self.builder,
            "out": out,
        }
        variables = ",".join(f"({_quoted(k)},{_quoted(v)})" for k, v in sorted(environment.items()))
        return (
            f'Derive([("out",{_quoted(out)},"","")],[],[],'
            f"{_quoted(self.system)},{_quoted(self.builder)},[],[{variables}])"
        )


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'
