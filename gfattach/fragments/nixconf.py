"""The Nix fragment: a nix.conf that adds a substituter, and how Nix is made to read it.

Nix reads it through `NIX_CONFIG="!include FILE"`, which keeps the system's and the user's own
configuration; no global file is touched. The grammar of such files knows neither quotes nor
escapes: white space parts words and `#` begins a comment, wherever it stands (measured with
Nix 2.8.0).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from gfattach.core.endpoint import PORTS, Endpoint
from gfattach.core.errors import UsageError
from gfattach.core.paths import Home, state_directory
from gfattach.fragments.template import render as render_template
from gfattach.nix.uri import writable
from gfattach.nixcache.target import SubstituterTarget

#: The variable by which Nix is given configuration.
VARIABLE = "NIX_CONFIG"

#: Seconds until a connection is given up; Nix's own default is never, up to 2.28.
CONNECT_SECONDS = 5

#: Attempts in all; Nix's own default is 5, with growing pauses.
ATTEMPTS = 2

#: Seconds without a byte until a download is given up; Nix's own default is 300.
STALLED_SECONDS = 30

#: Seconds for which "no such path" is believed; Nix's own default is 3600.
NEGATIVE_SECONDS = 60

#: The settings that bound what a cache that is away may cost, with the values above.
BOUNDS = {
    "connect-timeout": CONNECT_SECONDS,
    "download-attempts": ATTEMPTS,
    "stalled-download-timeout": STALLED_SECONDS,
    "narinfo-cache-negative-ttl": NEGATIVE_SECONDS,
}

#: Settings that every Nix from 2.8 on has (`nix show-config` of 2.8.0 and of 2.26.3). The `extra-` form
#: of a setting goes with the setting.
UNIVERSAL_SETTINGS = frozenset({"substituters", "trusted-public-keys", "netrc-file", *BOUNDS})

#: Settings that a daemon takes of a user whom it does not trust; from 2.26 on it warns, at each command, of
#: every other that the client sets, and before it drops them without a word.
_OF_ANYBODY = frozenset({"substituters", "connect-timeout"})

#: The setting that names whom Nix trusts (from 2.15 on); an untrusted user's is not for the daemon.
AUTHORITIES = "ssl-cert-file"

_EMPTIED = """\
# The Nix cache of this attachment cannot be reached now, so nothing is set here: a cache that Nix has used
# before and cannot reach is fatal to builds. gfattach fills this file again when the cache is back.
"""

_WORD = re.compile(r"[^\s#?]+")


def substituter_url(endpoint: Endpoint) -> str:
    """How a substituter is written for Nix.

    A daemon compares it, as text, with its `trusted-substituters`: so without the scheme's
    default port, and without a slash at the end. What a Nix of today does not read is written as escapes.
    """
    port = "" if endpoint.port == PORTS[endpoint.scheme] else f":{endpoint.port}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else _ascii(endpoint.host)
    return f"{endpoint.scheme}://{host}{port}{writable(endpoint.path.rstrip('/'))}"


def render(
    target: SubstituterTarget,
    own: Mapping[str, Any] | None,
    *,
    netrc_file: Path | None = None,
    authorities: Path | None = None,
    restricted: bool = False,
    waits_when_limited: bool = False,
) -> str:
    """The fragment that adds `target` to what Nix has.

    `own` are the settings without the fragment, by name, at least those of UNIVERSAL_SETTINGS that the Nix
    knows: others are not written, and a bound that is stricter stays. None stands for a Nix that nobody
    could ask. `netrc_file` replaces the user's own, so it has to hold that too; so does `authorities`, which
    only a Nix from 2.15 on can be told. `restricted` leaves out what a daemon does not take of a user whom it
    does not trust. `waits_when_limited` is for a Nix that tries again a minute after an answer of 429.

    What an endpoint and a key may be is held where they are read (`endpoint`, `site.values`): neither has a
    parameter, white space or a #. Raises UsageError for a netrc at a path that nix.conf cannot hold.
    """
    url = substituter_url(target.endpoint)
    assert all(_WORD.fullmatch(word) for word in (url, *target.public_keys))
    settings: Container[str] = UNIVERSAL_SETTINGS if own is None else own
    if restricted:
        settings = [name for name in _OF_ANYBODY if name in settings]
    bounds = {**BOUNDS, "download-attempts": 1} if waits_when_limited else BOUNDS
    values: Mapping[str, str | None] = {
        "substituters": url,
        "trusted-public-keys": " ".join(target.public_keys) or None,
        **{name: str(_stricter(name, bound, own or {})) for name, bound in bounds.items()},
        "netrc-file": None if netrc_file is None else str(check_includable(netrc_file)),
        AUTHORITIES: None if authorities is None else str(check_includable(authorities)),
    }
    placeholders = {_placeholder(name): value if name in settings else None for name, value in values.items()}
    return render_template("nix.conf", {"substituter": url, **placeholders})


def emptied() -> str:
    """The fragment for while the substituter is away: comments, and no setting."""
    return _EMPTIED


def fragment_path(home: Home) -> Path:
    """Where the fragment of `home` goes: into it if Nix can include that, else below the state directory.

    Raises UsageError when Nix can include neither.
    """
    beside = home.directory / "nix.conf"
    if not _obstacle(beside):
        return beside
    return check_includable(state_directory() / "nix" / f"{home.key}.conf")


def check_includable(path: Path) -> Path:
    """`path`, if Nix can include it and a shell can be told so. Raises UsageError."""
    if obstacle := _obstacle(path):
        raise UsageError(
            f"Nix cannot include {path}: the path {obstacle}",
            "set XDG_STATE_HOME to a directory without white space, quotes and #, and run it again",
            code="fragment.path",
        )
    return path


def include_line(path: Path) -> str:
    """What `NIX_CONFIG` has to hold. Raises UsageError."""
    return f"!include {check_includable(path)}"


def activation(path: Path) -> str:
    """One line of shell that makes Nix read the fragment, and keeps what `NIX_CONFIG` holds.

    For any POSIX shell, and to be typed into an interactive bash, where `!` outside of single
    quotes would call up history. Raises UsageError.
    """
    return f"export {VARIABLE}; {VARIABLE}=$(printf '%s\\n' \"${{{VARIABLE}-}}\" '{include_line(path)}')"


def _ascii(host: str) -> str:
    """`host` as it is asked for in the DNS. What has no such form stays: Nix says so."""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _stricter(name: str, bound: int, own: Mapping[str, Any]) -> int:
    """The stricter of `bound` and the user's own. To a timeout 0 is no bound at all."""
    value = own.get(name)
    if not isinstance(value, int) or (value == 0 and name.endswith("-timeout")):
        return bound
    return min(bound, value)


def _placeholder(setting: str) -> str:
    added = ("substituters", "trusted-public-keys")
    return f"{'extra_' if setting in added else ''}{setting.replace('-', '_')}"


def _obstacle(path: Path) -> str:
    text = str(path)
    if not path.is_absolute():
        return "is not absolute"
    if re.search(r"\s", text):
        return "holds white space"
    if "#" in text:
        return "holds a #"
    if re.search(r"[\"'`$\\]", text):
        return "holds a quote or another character that shells take for their own"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return ""
