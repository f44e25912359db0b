"""What Nix is told to substitute from, and for how long it waits."""

from __future__ import annotations

from gfattach.core.finding import Finding, Inquiry, Probe, ok, skip, warn
from gfattach.core.quote import word
from gfattach.nix.config import Settings
from gfattach.nix.daemon import configuration_directory
from gfattach.nix.uri import alike, same_cache, spelled_otherwise
from gfattach.probes.nix.subject import NixSubject, restricted, settings_of

#: Seconds beyond which a cache that accepts a connection and says nothing is a nuisance.
LONG_SECONDS = 60


def _ask_substituters(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    settings = settings_of(inquiry, attached=True)
    names = settings.words("substituters")
    data = {"substituters": list(names)}
    if (loose := _loose(settings, subject.url)) is not None:
        return loose
    if not subject.url:
        return ok("nix.substituters.seen", f"Nix takes from {', '.join(names) or 'nowhere'}", **data)
    if not any(alike(name, subject.url) for name in names):
        return _missing(subject, names, data)
    otherwise = [name for name in names if spelled_otherwise(name, subject.url)]
    if otherwise:
        return warn(
            "nix.substituters.spelling",
            f"Nix is told of the same cache twice: {otherwise[0]} and {subject.url}",
            "Nix compares them as text: it asks both, and a daemon allows only the one that is listed",
            "see where the other comes from: grep -rs substituters /etc/nix ~/.config/nix",
            **data,
        )
    when = "" if subject.activated() else " as soon as it reads the fragment"
    return ok("nix.substituters.ok", f"Nix takes from {subject.url}{when}", **data)


def _loose(settings: Settings, url: str) -> Finding | None:
    """What makes all of it void: no substitution at all, or one that asks for no signature."""
    if settings.setting("substitute") is False:
        return warn(
            "nix.substituters.off",
            "Nix is told not to substitute at all",
            "it builds everything here, whatever a cache holds",
            "take it out of nix.conf or NIX_CONFIG: substitute = false",
        )
    unsigned = [name for name in settings.words("substituters") if "trusted=" in name]
    if settings.setting("require-sigs") is False or unsigned:
        seen = f"it takes from {unsigned[0]}" if unsigned else "require-sigs is false"
        return warn(
            "nix.substituters.unsigned",
            f"Nix takes paths that nobody has signed: {seen}",
            "whoever answers in the cache's place decides what runs on this machine",
            "take `require-sigs = false` and `?trusted=` out of nix.conf and NIX_CONFIG",
        )
    return None


def _missing(subject: NixSubject, names: tuple[str, ...], data: dict[str, list[str]]) -> Finding:
    near = [name for name in names if same_cache(name.partition("?")[0], subject.url)]
    return warn(
        "nix.substituters.wiped",
        f"Nix does not take from {subject.url}, though the fragment names it",
        "a plain `substituters = ...` that is read later replaces all that were named before"
        + (f"; what is left is {near[0]}" if near else ""),
        'write `extra-substituters` instead, or put the fragment\'s !include last: echo "$NIX_CONFIG"',
        **data,
    )


def _ask_keys(inquiry: Inquiry[NixSubject]) -> Finding:
    target = inquiry.subject.target
    if restricted(inquiry):
        return skip("nix.keys.daemon", "the daemon goes by its own keys, and by none that this user names")
    names = settings_of(inquiry, attached=True).words("trusted-public-keys")
    if target is None or not target.public_keys:
        return ok("nix.keys.none", f"no key was named; Nix trusts {_names_of(names) or 'none'}")
    missing = [key for key in target.public_keys if key not in names]
    if len(missing) == len(target.public_keys):
        return warn(
            "nix.keys.wiped",
            f"Nix does not trust the key {missing[0]}, though the fragment names it",
            "a plain `trusted-public-keys = ...` that is read later replaces all that were named before; "
            "Nix refuses what a key signed that it does not trust",
            "write `extra-trusted-public-keys` instead, or put the fragment's !include last: "
            'echo "$NIX_CONFIG"',
        )
    for key in target.public_keys:
        name = key.partition(":")[0]
        first = next((other for other in names if other.partition(":")[0] == name), key)
        if first != key:
            where = "in gfattach.toml: nix.public_keys, or the option --public-key"
            if first not in target.public_keys:
                where = (
                    f'where it is set: grep -rsF -e {word(first)} /etc/nix ~/.config/nix; echo "$NIX_CONFIG"'
                )
            return warn(
                "nix.keys.hidden",
                f"Nix knows two keys as {name}: {first} comes first, and {key} is the site's",
                "of several keys of one name Nix goes by the first, and refuses what the other signed",
                f"take the old one out, {where}",
            )
    return ok("nix.keys.ok", f"Nix trusts {_names_of(target.public_keys)}")


def _names_of(keys: tuple[str, ...]) -> str:
    return ", ".join(key.partition(":")[0] for key in keys)


def _ask_timeouts(inquiry: Inquiry[NixSubject]) -> Finding:
    settings = settings_of(inquiry, attached=True)
    if daemons := restricted(inquiry):
        # Of an untrusted user's a daemon takes the time for a connection, and no other bound.
        mine = {name: settings.setting(name) for name in ("connect-timeout",)}
        settings = Settings({**inquiry.known("nix.trust", "bounds", {}), **mine})
    known = {
        name: settings.setting(name)
        for name in ("connect-timeout", "stalled-download-timeout", "download-attempts")
        if isinstance(settings.setting(name), int)
    }
    if not known:
        return skip("nix.timeouts.unknown", "this Nix does not say how long it waits")
    seen = ", ".join(f"{name} {value}" for name, value in known.items())
    file = "~/.config/nix/nix.conf"
    if daemons:
        seen = f"{seen}; those of its daemon count, and none of this user's but for a connection's"
        file = f"{configuration_directory(inquiry.subject.environment) / 'nix.conf'}, as its administrator"
    if known.get("connect-timeout") == 0:
        return warn(
            "nix.timeouts.unbounded",
            f"Nix waits for a connection without end: {seen}",
            "one cache that drops packets holds up every command of Nix for minutes",
            f"put into {file}: connect-timeout = 5",
            **known,
        )
    attempts = max(1, known.get("download-attempts", 1))
    total = attempts * max(known.get("connect-timeout", 0), known.get("stalled-download-timeout", 0))
    if total > LONG_SECONDS:
        return warn(
            "nix.timeouts.long",
            f"Nix waits up to {total} s for a cache that is silent: {seen}",
            "each file of a cache that hangs is waited for that long",
            f"put into {file}: stalled-download-timeout = 30",
            **known,
        )
    return ok("nix.timeouts.ok", f"Nix gives up a silent cache within {total} s: {seen}", **known)


SUBSTITUTERS: Probe[NixSubject] = Probe(
    "nix.substituters",
    "does it take from the substituter?",
    _ask_substituters,
    codes={
        "nix.substituters.ok": "the substituter is among those that are in force",
        "nix.substituters.seen": "which substituters are in force, when none was asked about",
        "nix.substituters.wiped": "a later plain setting replaces the fragment's substituter",
        "nix.substituters.spelling": "the same cache is named a second time, in another spelling",
        "nix.substituters.off": "substitution is turned off",
        "nix.substituters.unsigned": "paths are taken that nobody has signed",
    },
    needs=("nix.starts",),
)

KEYS: Probe[NixSubject] = Probe(
    "nix.keys",
    "does it trust the keys that sign the substituter?",
    _ask_keys,
    codes={
        "nix.keys.ok": "a key of the substituter is among those that are in force",
        "nix.keys.none": "no key was asked about",
        "nix.keys.daemon": "a daemon that does not trust this user goes by its own keys",
        "nix.keys.wiped": "a later plain setting replaces the fragment's keys",
        "nix.keys.hidden": "another key of the same name comes first",
    },
    needs=("nix.substituters", "nix.trust"),
)

TIMEOUTS: Probe[NixSubject] = Probe(
    "nix.timeouts",
    "how long does it wait for a cache that is silent?",
    _ask_timeouts,
    codes={
        "nix.timeouts.ok": "a cache that is silent costs seconds",
        "nix.timeouts.unbounded": "no limit is set for a connection",
        "nix.timeouts.long": "the limits that are set add up to minutes",
        "nix.timeouts.unknown": "this Nix does not show its limits",
    },
    needs=("nix.starts", "nix.trust"),
)
