"""Reads `bazel query "kind(rule, //external:*)" --output=xml`: what a WORKSPACE declares.

`//external:all` is the same for 4.2.3, and empty for 7.7.1, without a word. Bazel says XML 1.1 of its output,
which Expat refuses and which it does not need (both).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from msgspec import Struct, field

from gfattach.core.errors import BazelError

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


class Repository(Struct, frozen=True):
    """One repository: its name, the class of its rule, where it stands, and its attributes.

    `built_in` says that Bazel itself declares it and not the workspace.
    """

    name: str
    rule: str
    location: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def built_in(self) -> bool:
        """Whether Bazel's own prefix or suffix of the WORKSPACE file declares it."""
        return self.location.startswith("/DEFAULT.WORKSPACE")

    @property
    def urls(self) -> tuple[str, ...]:
        """`url`, or else `urls`."""
        one = self.texts.get("url", "")
        return (one,) if one else tuple(self.lists.get("urls", ()))

    @property
    def checksum(self) -> str:
        """`sha256`, or else `integrity`; "" for none."""
        return self.texts.get("sha256", "") or self.texts.get("integrity", "")


def read_external(text: str) -> tuple[Repository, ...]:
    """The repositories in the query's output. Raises BazelError (`bazel.rubbish`)."""
    try:
        root = ElementTree.fromstring(_DECLARATION.sub("", text))
    except ElementTree.ParseError as error:
        raise BazelError(
            "bazel query --output=xml gave no XML", f"at {error}", code="bazel.rubbish"
        ) from error
    return tuple(_repository(rule) for rule in root.iter("rule"))


def _repository(rule: ElementTree.Element) -> Repository:
    texts = {each.get("name", ""): each.get("value", "") for each in rule.findall("string")}
    lists = {
        each.get("name", ""): [item.get("value", "") for item in each.findall("string")]
        for each in rule.findall("list")
    }
    name = rule.get("name", "").removeprefix("//external:")
    return Repository(name, rule.get("class", ""), rule.get("location", ""), texts, lists)
