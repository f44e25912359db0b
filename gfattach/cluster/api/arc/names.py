"""How ARC names a listener, and how GitHub URLs of a scale set are read. Pure.

A listener is `<scale set>-<suffix>-listener`. The suffix is the first eight characters of SafeEncodeString
(k8s.io/apimachinery/pkg/util/rand) of a 32-bit FNV-1a as decimal: of the namespace alone up to chart 0.13.0,
of `namespace@group@configUrl` from 0.13.1 on (ARC, controllers/actions.github.com/resourcebuilder.go).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from msgspec import Struct

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"

_SUFFIX_LENGTH = 8

#: The first chart whose listener's suffix depends on the runner group and the URL.
_LONG_RULE = (0, 13, 1)

#: The runner group that a scale set without one belongs to.
DEFAULT_GROUP = "default"


def suffix(text: str) -> str:
    """The suffix of a listener's name for `text`.

    >>> suffix("arc-runners")
    '754b578d'
    """
    digest = 0x811C9DC5
    for byte in text.encode():
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(digest))[:_SUFFIX_LENGTH]


def by_namespace(scale_set: str, namespace: str) -> str:
    """The listener's name as charts up to 0.13.0 make it."""
    return f"{scale_set}-{suffix(namespace)}-listener"


def by_registration(scale_set: str, namespace: str, group: str, url: str) -> str:
    """The listener's name as charts from 0.13.1 on make it."""
    return f"{scale_set}-{suffix(f'{namespace}@{group or DEFAULT_GROUP}@{url}')}-listener"


def expected(scale_set: str, namespace: str, group: str, url: str, version: str) -> tuple[str, ...]:
    """The names that a listener may have, for a scale set of the chart's `version` ("" unknown).

    A controller takes scale sets of its own minor version. Within 0.13 the rule changed with a patch, so both
    are possible there; a group that is not named may be hashed as none or as the default one.
    """
    short = by_namespace(scale_set, namespace)
    groups = (group,) if group else (DEFAULT_GROUP, "")
    long = tuple(f"{scale_set}-{suffix(f'{namespace}@{each}@{url}')}-listener" for each in groups)
    known = release(version)
    if known is None or known[:2] == _LONG_RULE[:2]:
        return (*long, short)
    return long if known > _LONG_RULE else (short,)


def release(version: str) -> tuple[int, int, int] | None:
    """The numbers of a chart's version, `0.13.1` or `v0.13.1-rc1`; None for what is none."""
    found = re.match(r"v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


class Registration(Struct, frozen=True):
    """What a githubConfigUrl registers runners for. `kind` is enterprise, organization or repository.

    `host` and `name` (`OWNER`, `OWNER/REPOSITORY` or an enterprise's) are in lower case: GitHub's are not
    case-sensitive.
    """

    host: str
    kind: str
    name: str

    def __str__(self) -> str:
        """`tinyland-inc`, `Owner/repository`; with the host unless that is github.com."""
        shown = f"enterprise {self.name}" if self.kind == "enterprise" else self.name
        return shown if self.host == "github.com" else f"{self.host}/{shown}"

    def covers(self, repository: str) -> bool | None:
        """Whether runners registered here can serve `OWNER/NAME`; None: an enterprise, of which no cluster
        knows the organizations."""
        wanted = repository.lower()
        if self.kind == "enterprise":
            return None
        return self.name == (wanted if self.kind == "repository" else wanted.partition("/")[0])


def registration(url: str) -> Registration:
    """What `url` registers for: https://HOST/enterprises/NAME, https://HOST/OWNER[/REPOSITORY]."""
    found = urlsplit(url.strip().lower())
    host = (found.netloc or "github.com").removeprefix("www.")
    steps = [step for step in found.path.split("/") if step]
    if len(steps) >= 2 and steps[0] == "enterprises":
        return Registration(host, "enterprise", steps[1])
    if len(steps) >= 2:
        return Registration(host, "repository", f"{steps[0]}/{steps[1].removesuffix('.git')}")
    return Registration(host, "organization", steps[0] if steps else "")
