"""One spawn of an execution log, whatever format the log has."""

from __future__ import annotations

import re
from typing import NamedTuple

from msgspec import Struct

from gfattach.bazel.logs.summary import REMOTE

#: A label at the end of a progress message: `Executing genrule //:a`.
_LABEL = re.compile(r"(?:^| )(@{0,2}[^ ]*//[^ ]*)$")


class Kind(NamedTuple):
    """What many spawns of a build have in common.

    `status` is "" for spawns that ended well. `platform` are the properties, each a name and a value.
    """

    mnemonic: str
    runner: str
    cache_hit: bool
    status: str
    exit_code: int
    remotable: bool
    remote_cacheable: bool
    platform: tuple[tuple[str, str], ...]

    @property
    def executed(self) -> bool:
        """Whether an executor ran it, to a good end. Bazel says `remote` of failures too."""
        return self.runner == REMOTE and not self.cache_hit and self.status == "" and self.exit_code == 0


class Spawn(NamedTuple):
    """What is asked of one spawn, but for its action.

    `label` is "" where the log does not tell it (before Bazel 5, unless the progress message does), and
    `OTHER` for one that was not asked for. `program` is the program of the worker's own that it ran, by its
    absolute path, "" for one that is an input of the build. `carries` says that its environment or its
    arguments hold the text that was looked for.
    """

    kind: Kind
    label: str
    program: str
    carries: bool


#: The label of a spawn of a target that was not asked for. No label of Bazel's is like it.
OTHER = "another"


class Group(Struct):
    """Spawns of a log that are alike: how many, and their actions where the log names them, by `key_of`."""

    count: int = 0
    actions: set[bytes] = set()


#: What a log amounts to: the spawns that are alike, in the order of the first of each.
Groups = dict[Spawn, Group]


def label_in(progress: str) -> str:
    """The label that a progress message ends with; "" for none."""
    found = _LABEL.search(progress)
    return "" if found is None else found[1]
