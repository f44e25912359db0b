"""Whether the daemon lets this user take from the substituter, and what to tell the administrator."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.errors import NixError
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, warn
from gfattach.fragments import nixconf
from gfattach.nix.config import Settings, read_settings, system_environment
from gfattach.nix.daemon import Trust, ask_trust, configuration_directory, may_connect, own_name
from gfattach.nix.program import Flavour, Nix
from gfattach.nix.uri import spelled_otherwise
from gfattach.probes.nix.program import RESTART_HINT
from gfattach.probes.nix.subject import DEFAULT_NETRC, END_SECONDS, NixSubject, found_nix, through_daemon

#: Seconds for two questions that take 0.1.
TRUST_SECONDS = 12.0

#: The file that says that a machine is made by NixOS, whose nix.conf nobody edits.
NIXOS_MARK = Path("/etc/NIXOS")


def _ask_trust(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    if not through_daemon(inquiry):
        return ok("nix.trust.owner", "no daemon stands between: what this user chooses counts", trusted=True)
    nix = found_nix(inquiry)
    url = subject.url
    deadline = Deadline(inquiry.deadline.at - END_SECONDS)
    try:
        system = read_settings(nix, deadline, system_environment(subject.environment))
        if not may_connect(system):
            return _refused(nix, system, subject.environment)
        trust = ask_trust(nix, [url] if url else [], deadline, subject.environment)
    except NixError as error:
        return warn(
            "nix.trust.unanswered",
            error.fact,
            "whether the fragment counts for this user is not known",
            *error.hints,
            "ask it: nix --extra-experimental-features nix-command store ping",
        )
    if trust.trusted:
        return ok("nix.trust.ok", "the daemon trusts this user: the fragment counts", trusted=True)
    finding = _untrusted(subject, nix, trust, system)
    theirs = str(system.setting("netrc-file") or DEFAULT_NETRC)
    bounds = {name: system.setting(name) for name in nixconf.BOUNDS if name in system.known}
    return replace(finding, data={**finding.data, "netrc_file": theirs, "bounds": bounds})


def _refused(nix: Nix, system: Settings, environ: Mapping[str, str]) -> Finding:
    user = own_name()
    return fail(
        "nix.trust.refused",
        f"the daemon lets only {' '.join(system.words('allowed-users')) or 'nobody'} in, and this is {user}",
        "it hangs up on anybody else without a word, and no command of Nix can read or write the store",
        *_to_be_added(nix, {"allowed-users": (user,)}, environ),
        trusted=False,
    )


def _untrusted(subject: NixSubject, nix: Nix, trust: Trust, system: Settings) -> Finding:
    url, target = subject.url, subject.target
    if target is None:
        return warn(
            "nix.trust.untrusted",
            "the daemon does not trust this user",
            "it takes from a substituter only what the administrator has listed",
            trusted=False,
        )
    keys = target.public_keys
    missing = tuple(key for key in keys if key not in system.words("trusted-public-keys"))
    said = administrator_lines(nix, url, missing, subject.environment)
    if url in trust.ignored:
        listed = system.words("trusted-substituters") + system.words("substituters")
        otherwise = [word for word in listed if spelled_otherwise(word, url)]
        why = (
            "it ignores substituters and keys that this user names and the administrator has not: until then "
            "builds go on as before, from the caches of the system, and only the proof takes from this one"
        )
        if otherwise:
            why = f"the administrator listed it as {otherwise[0]}, and the daemon compares letter by letter"
        seen = f"the daemon does not let this user take from {url}"
        return warn("nix.trust.untrusted", seen, why, *said, trusted=False)
    if keys and len(missing) == len(keys):
        return warn(
            "nix.trust.key",
            f"the daemon lets this user take from {url}, and does not trust the key {missing[0]}",
            "it refuses every path that is signed with a key which the administrator has not listed",
            *said,
            trusted=False,
        )
    return ok("nix.trust.listed", f"the administrator has listed {url} for every user", trusted=False)


def administrator_lines(
    nix: Nix, url: str, keys: tuple[str, ...], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """What the administrator has to say, where, and what to run then. `keys` are those that are missing.

    Never `trusted-users`: who is in that list is as good as root.
    """
    return _to_be_added(nix, {"trusted-substituters": (url,), "trusted-public-keys": keys}, environ)


def _to_be_added(
    nix: Nix, words: Mapping[str, tuple[str, ...]], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """How an administrator adds `words` to the settings of that name, and what to run then."""
    words = {name: added for name, added in words.items() if added}
    if NIXOS_MARK.exists():
        lists = {name: " ".join(f'"{word}"' for word in added) for name, added in words.items()}
        return (
            "ask the administrator to add to the configuration of this NixOS:",
            *(f"nix.settings.{name} = [ {added} ];" for name, added in lists.items()),
            "and then to run: sudo nixos-rebuild switch",
        )
    directory = configuration_directory(environ)
    custom = directory / "nix.custom.conf"
    determinate = nix.flavour is Flavour.DETERMINATE or custom.exists()
    return (
        f"ask the administrator to add to {custom if determinate else directory / 'nix.conf'}:",
        *(f"extra-{name} = {' '.join(added)}" for name, added in words.items()),
        f"and then to run: {_restart(determinate)}",
    )


def _restart(determinate: bool) -> str:
    if determinate and platform.system() == "Darwin":
        return "sudo launchctl kickstart -k system/systems.determinate.nix-daemon"
    return RESTART_HINT


TRUST: Probe[NixSubject] = Probe(
    "nix.trust",
    "does its daemon let this user take from the substituter?",
    _ask_trust,
    codes={
        "nix.trust.owner": "no daemon stands between this user and the store",
        "nix.trust.ok": "the daemon trusts this user",
        "nix.trust.listed": "the administrator has listed the substituter and a key of it",
        "nix.trust.untrusted": "the daemon ignores the substituter that this user names",
        "nix.trust.key": "the daemon takes from the substituter, and trusts none of its keys",
        "nix.trust.refused": "the daemon does not let this user in",
        "nix.trust.unanswered": "the daemon could not be asked",
    },
    needs=("nix.mode",),
    seconds=TRUST_SECONDS,
)
