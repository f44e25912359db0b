"""What Nix reads beside its configuration and netrc: the authorities, what it remembers of a cache."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path

from gfattach.core.errors import NixError
from gfattach.core.finding import Finding, Inquiry, Probe, ok, skip, warn
from gfattach.core.paths import config_directory
from gfattach.core.quote import command, word
from gfattach.fragments import nixconf
from gfattach.nix import narinfo_cache
from gfattach.nix.authorities import bundle, certificates, daemon_bundle, own_bundle
from gfattach.nix.narinfo_cache import NarInfoCacheError
from gfattach.nix.uri import same_cache
from gfattach.probes.nix.subject import NixSubject, found_nix, settings_of, through_daemon
from gfattach.tls.certificate import holds, split_pem

#: Where a daemon keeps what it remembers.
ROOT_HOME = pwd.getpwuid(0).pw_dir


def _ask_negative_cache(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    if subject.target is None:
        return skip("nix.negative-cache.nothing", "no substituter was named")
    environ = subject.environment
    if through_daemon(inquiry):
        # The daemon runs as root and asks the caches, so what counts is what root remembers.
        environ = {"HOME": ROOT_HOME}
    directory = narinfo_cache.cache_directory(environ)
    if not os.access(directory, os.R_OK | os.X_OK) and (through_daemon(inquiry) or directory.exists()):
        return skip(
            "nix.negative-cache.unseen",
            f"what Nix remembers of caches cannot be seen by this user: {directory}",
            f"sudo ls -l {word(directory)}",
        )
    ttl = settings_of(inquiry, attached=True).setting("narinfo-cache-negative-ttl", 3600)
    paths = [path for path in (subject.target.probe_path, subject.target.signed_path) if path]
    for file in narinfo_cache.find_files(directory):
        try:
            for path in paths:
                for entry in narinfo_cache.lookup(file, path):
                    age = int(time.time()) - entry.asked
                    if not entry.present and same_cache(entry.url, subject.url) and age < ttl:
                        return _stale(path, file, age, ttl)
        except NarInfoCacheError as error:
            return warn(
                "nix.negative-cache.unreadable",
                f"{file} cannot be read: {error}",
                "Nix keeps there what caches answered; a damaged one can make it pass over a cache",
                f"it can be removed without loss while no Nix runs: rm {word(file)}",
            )
    return ok("nix.negative-cache.ok", "Nix remembers nothing against this cache's paths")


def _stale(path: str, file: Path, age: int, ttl: int) -> Finding:
    return warn(
        "nix.negative-cache.stale",
        f"Nix remembers from {age} s ago that the cache has not got {path}, and asks again in {ttl - age} s",
        "what was pushed since then seems to be missing",
        f"nix-store --realise {word(path)} --option narinfo-cache-negative-ttl 0",
        file=str(file),
        path=path,
        age=age,
    )


def _ask_ca(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    target = subject.target
    if target is None or not target.endpoint.tls:
        return ok("nix.ca.plain", "the substituter speaks without TLS: no authorities are needed")
    settings = settings_of(inquiry, attached=True)
    file = bundle(settings, subject.environment)
    try:
        if file is None:
            raise FileNotFoundError("it finds no bundle of certificate authorities")
        lacks = _lacks(subject, file)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        named = error.filename or file
        return warn(
            "nix.ca.missing",
            f"Nix cannot read its certificate authorities: {f'{named}: ' if named else ''}{reason}",
            "it can verify no cache that speaks TLS",
            "apt-get install ca-certificates, or name a bundle: export NIX_SSL_CERT_FILE=FILE",
        )
    data = {"file": str(file)}
    site = target.ca_file or own_bundle(subject.environment)
    whose = "the site's" if subject.authority is None else subject.authority.subject
    told = nixconf.AUTHORITIES in settings.known
    if lacks and target.ca_file is not None and told and not through_daemon(inquiry):
        return ok("nix.ca.ok", f"the fragment has Nix trust {target.ca_file} besides {file}", **data)
    if lacks:
        return warn(
            "nix.ca.lacks",
            f"Nix trusts the authorities in {file}, and {whose} of {site} is not among them",
            "it refuses the connection to the substituter",
            *_bundle_hints(site, file, told),
            **data,
        )
    if not through_daemon(inquiry):
        return ok("nix.ca.ok", f"Nix trusts the authorities in {file}", **data)
    try:
        theirs = daemon_bundle(found_nix(inquiry), inquiry.deadline.within(2.0), subject.environment)
        daemon_lacks = theirs is not None and _lacks(subject, theirs)
    except (NixError, OSError):
        theirs, daemon_lacks = None, False
    data["daemon_file"] = str(theirs or "")
    if daemon_lacks:
        return warn(
            "nix.ca.daemon",
            f"this user trusts {whose} of {site}, and the daemon goes by {theirs}, which lacks it",
            "it is the daemon that asks the cache, with authorities of its own",
            f"ask the administrator to add {site} to the system's authorities, "
            "with update-ca-certificates, and to restart the daemon",
            **data,
        )
    more = f", its daemon those in {theirs}" if theirs is not None else ""
    return ok("nix.ca.ok", f"Nix trusts the authorities in {file}{more}", **data)


def _lacks(subject: NixSubject, file: Path) -> bool:
    """Whether the bundle `file` lacks who vouches for the substituter; the site's authorities, where that
    was not seen. Raises OSError.
    """
    if subject.authority is not None:
        return not holds(split_pem(file.read_bytes()), subject.authority)
    site = subject.target.ca_file if subject.target is not None else None
    return site is not None and not certificates(site) <= certificates(file)


def _bundle_hints(site: Path | None, file: Path, setting: bool) -> tuple[str, ...]:
    """How to make a bundle that holds both, because a file that is named takes the place of the other."""
    both = config_directory() / "authorities.pem"
    made = (
        f"make a bundle of both: {command('mkdir', '-p', both.parent)} && "
        f"{command('cat', file, *filter(None, [site]))} > {word(both)}"
    )
    if setting:
        return (made, f"put into ~/.config/nix/nix.conf: ssl-cert-file = {both}")
    return (made, f"export NIX_SSL_CERT_FILE={word(both)}")


NEGATIVE_CACHE: Probe[NixSubject] = Probe(
    "nix.negative-cache",
    "does it remember that the paths were missing?",
    _ask_negative_cache,
    codes={
        "nix.negative-cache.ok": "no negative answer is remembered",
        "nix.negative-cache.stale": "a negative answer is remembered, and hides what was pushed since",
        "nix.negative-cache.unreadable": "what Nix remembers cannot be read",
        "nix.negative-cache.unseen": "what the daemon remembers cannot be seen by this user",
        "nix.negative-cache.nothing": "no substituter was named",
    },
    needs=("nix.mode",),
)

CA: Probe[NixSubject] = Probe(
    "nix.ca",
    "does it trust the authority that vouches for the substituter?",
    _ask_ca,
    codes={
        "nix.ca.ok": "Nix, and its daemon, trust who vouches for the substituter, as far as can be seen",
        "nix.ca.plain": "the substituter speaks without TLS",
        "nix.ca.missing": "there is no file of authorities, or it cannot be read",
        "nix.ca.lacks": "the client's authorities lack who vouches for the substituter",
        "nix.ca.daemon": "the daemon's authorities lack who vouches for the substituter",
    },
    needs=("nix.mode",),
)
