"""What the Nix probes are given, and what they share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.errors import GfattachError
from gfattach.core.finding import Inquiry
from gfattach.fragments import nixconf
from gfattach.nix.config import Settings
from gfattach.nix.daemon import Mode
from gfattach.nix.program import Nix, waits_when_limited
from gfattach.nix.uri import shown
from gfattach.nixcache.target import SubstituterTarget
from gfattach.tls.certificate import Certificate

#: Seconds that ending a Nix that hangs may take; they come off a probe's own time.
END_SECONDS = 4.0

#: The netrc of a Nix that is told of no other.
DEFAULT_NETRC = "/etc/nix/netrc"

#: The settings that the probes and the fragment look at; the others stay out of what is written and shown.
LOOKED_AT = (
    *sorted(nixconf.UNIVERSAL_SETTINGS),
    "narinfo-cache-positive-ttl",
    "require-sigs",
    nixconf.AUTHORITIES,
    "store",
    "substitute",
    "trusted-substituters",
)


class NixSubject(Struct, frozen=True, kw_only=True):
    """Which Nix is asked, and for what.

    `program` is what the user named, None to look for one; `target` is the substituter, None to look
    at Nix alone; `fragment` is where the fragment of an earlier attach is, None before there is one;
    `environ` is where the user's Nix runs; `netrc_given` says that the
    fragment names a netrc of the attachment's, which holds the user's and the token for `target`;
    `authority` vouches for the certificate of `target`, None where its handshake was not seen; `encodings`
    and `nar_encodings` are the Content-Encodings that came of `target`, of documents and of NARs. `workspace`
    is where a flake may be.
    """

    program: str | None = None
    target: SubstituterTarget | None = None
    fragment: Path | None = None
    environ: Mapping[str, str]
    netrc_given: bool = False
    authority: Certificate | None = None
    encodings: tuple[str, ...] = ()
    nar_encodings: tuple[str, ...] = ()
    workspace: Path | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment in which a user runs Nix."""
        return self.environ

    @property
    def url(self) -> str:
        """The substituter as the fragment names it; empty without one."""
        return "" if self.target is None else nixconf.substituter_url(self.target.endpoint)

    def activated(self) -> bool:
        """Whether the environment has Nix read the fragment already."""
        return any(map(self._includes, self.environment.get(nixconf.VARIABLE, "").splitlines()))

    def attached_environment(self, settings: Settings, nix: Nix) -> dict[str, str]:
        """The environment as it is when `nix`, with these settings, reads the fragment that `target` gets.

        Its text stands where the environment includes the fragment, so that what is read after that counts,
        and otherwise last, where `gfattach env` puts it.
        """
        environ = dict(self.environment)
        if self.target is None:
            return environ
        limited = waits_when_limited(nix)
        text = nixconf.render(self.target, settings.values, waits_when_limited=limited)
        lines = environ.get(nixconf.VARIABLE, "").splitlines()
        if self.activated():
            lines = [part for line in lines for part in ((line, text) if self._includes(line) else (line,))]
        else:
            lines.append(text)
        return {**environ, nixconf.VARIABLE: "\n".join(lines)}

    def _includes(self, line: str) -> bool:
        return line.split() in (["!include", str(self.fragment)], ["include", str(self.fragment)])


def found_nix(inquiry: Inquiry[NixSubject]) -> Nix:
    """The Nix that `nix.program` found."""
    return Nix.from_json(inquiry.findings["nix.program"].data)


def settings_of(inquiry: Inquiry[NixSubject], *, attached: bool) -> Settings:
    """The settings that `nix.starts` read: with the fragment, or without it."""
    return Settings(inquiry.known("nix.starts", "attached" if attached else "settings", {}))


def through_daemon(inquiry: Inquiry[NixSubject]) -> bool:
    """Whether a daemon stands between this user and the store, as `nix.mode` found."""
    return bool(inquiry.known("nix.mode", "mode") == Mode.DAEMON.value)


def restricted(inquiry: Inquiry[NixSubject]) -> bool:
    """Whether a daemon writes the store that does not trust this user, as `nix.trust` found."""
    return through_daemon(inquiry) and inquiry.known("nix.trust", "trusted") is False


def looked_at(settings: Settings) -> dict[str, Any]:
    """The part of the settings that the probes look at, with nothing secret in it."""
    return {name: _without_secrets(settings.values[name]) for name in LOOKED_AT if name in settings.values}


def last_part(error: GfattachError) -> str:
    """The kind of a failure: what follows the last dot of its code."""
    return error.code.rpartition(".")[2]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    return shown(value) if isinstance(value, str) else value
