"""Which authorities Nix, and its daemon, go by."""

from __future__ import annotations

import os
from pathlib import Path

from gfattach.core.errors import NixError
from gfattach.core.finding import Finding, Inquiry, Probe, ok, warn
from gfattach.core.paths import config_directory
from gfattach.core.quote import command, word
from gfattach.fragments import nixconf
from gfattach.nix.authorities import bundle, certificates, daemon_bundle, own_bundle
from gfattach.probes.nix.subject import NixSubject, found_nix, settings_of, through_daemon
from gfattach.tls.certificate import holds, split_pem


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
    """Whether the bundle `file` lacks the CA of the substituter; the site's authorities, where that
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


CA: Probe[NixSubject] = Probe(
    "nix.ca",
    "does it trust the CA of the substituter?",
    _ask_ca,
    codes={
        "nix.ca.ok": "Nix, and its daemon, trust the CA of the substituter, as far as can be seen",
        "nix.ca.plain": "the substituter speaks without TLS",
        "nix.ca.missing": "there is no file of authorities, or it cannot be read",
        "nix.ca.lacks": "the client's authorities lack the CA of the substituter",
        "nix.ca.daemon": "the daemon's authorities lack the CA of the substituter",
    },
    needs=("nix.mode",),
)
