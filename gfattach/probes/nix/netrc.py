"""Whether the netrc that Nix reads has the credentials that the substituter wants."""

from __future__ import annotations

import os
from pathlib import Path

from gfattach.core.finding import Finding, Inquiry, Probe, ok, warn
from gfattach.core.quote import command, word
from gfattach.credential.scope import login_name
from gfattach.nix import netrc
from gfattach.nix.config import Settings
from gfattach.probes.nix.subject import DEFAULT_NETRC, NixSubject, settings_of, through_daemon

#: Bits of a file's mode that let others read it.
_OTHERS = 0o077


def _ask_netrc(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    target = subject.target
    attached = _netrc_file(settings_of(inquiry, attached=True))
    host = "" if target is None else target.endpoint.host
    token = target is not None and any(name.lower() == "authorization" for name, _ in target.headers)
    # A daemon reads the file that a user names for a user whom it trusts.
    unread = through_daemon(inquiry) and inquiry.known("nix.trust", "trusted") is not True
    if token and subject.netrc_given and not unread:
        return ok("nix.netrc.ok", f"the fragment names a netrc with the token for {host}")
    try:
        reading = netrc.read(attached.read_text("utf-8", "replace"))
        names = reading.machines
    except (FileNotFoundError, NotADirectoryError):
        reading, names = netrc.Reading((), ()), ()
        if not token:
            return ok("nix.netrc.none", f"Nix has no netrc ({attached}), and the cache needs none")
    except OSError as error:
        theirs = inquiry.known("nix.trust", "netrc_file", DEFAULT_NETRC)
        if through_daemon(inquiry) and str(attached) == theirs:
            seen = f"the daemon of Nix has {attached}, which this user may not read and need not"
            return ok("nix.netrc.system", seen)
        return warn(
            "nix.netrc.unreadable",
            f"Nix is told to read {attached}, and this user cannot: {os.strerror(error.errno or 0).lower()}",
            "a cache that wants credentials then answers as if it had nothing",
            f"see whose it is: ls -l {word(attached)}",
        )
    if reading.broken is not None and host not in names:
        return warn(
            "nix.netrc.broken",
            f"{attached} cannot be read to its end: {reading.problems[-1]}",
            "what stands behind it counts for nothing, and a Nix with a curl before 8 fetches nothing at all "
            "then: Failed to open/read local data from file",
            f"close the quotation in line {reading.broken}, or take it out: {attached}",
        )
    if host and (port := next((n for n in names if n.startswith(f"{host}:")), None)):
        return warn(
            "nix.netrc.port",
            f"{attached} has an entry for {port}, which never matches",
            "entries are found by host name alone",
            f"write it without the port: machine {host}",
        )
    if token and subject.netrc_given:
        return _through_daemon(inquiry, f"the fragment names a netrc with the token for {host}", host)
    if token and host not in names and "*" not in names:
        asked = login_name(target.endpoint.url, target.real_host) if target else host
        return warn(
            "nix.netrc.no-entry",
            f"{attached} has no entry for {host}",
            "Nix sends a token only from its netrc, and a cache without one answers as if it had nothing",
            f"store it, and attach again: {command('gfattach', 'credential', 'login', asked)}",
            "or put the token into the netrc-file of your own nix.conf",
        )
    if host in names and attached.exists() and _open_to_others(attached):
        return warn(
            "nix.netrc.open",
            f"{attached} holds credentials, and others on this machine can read it",
            "a token that others read is theirs too",
            f"chmod 600 {word(attached)}",
        )
    if token and unread:
        return _through_daemon(inquiry, f"{attached} has an entry for {host}", host)
    what = f"has an entry for {host}" if host in names else "has no entry for this cache, which needs none"
    return ok("nix.netrc.ok", f"{attached} {what}")


def _through_daemon(inquiry: Inquiry[NixSubject], seen: str, host: str) -> Finding:
    theirs = inquiry.known("nix.trust", "netrc_file", DEFAULT_NETRC)
    return warn(
        "nix.netrc.daemon",
        f"{seen}, and it is a daemon that asks the cache",
        f"the daemon reads this file only for a user whom it trusts; for others it reads {theirs}",
        f"the administrator puts the entry for {host} into {theirs}, mode 0600, owner root",
    )


def _netrc_file(settings: Settings) -> Path:
    return Path(str(settings.setting("netrc-file") or DEFAULT_NETRC))


def _open_to_others(file: Path) -> bool:
    try:
        status = file.stat()
    except OSError:
        return False
    return bool(status.st_mode & _OTHERS) and status.st_uid == os.getuid()


NETRC: Probe[NixSubject] = Probe(
    "nix.netrc",
    "does it have the credentials that the substituter wants?",
    _ask_netrc,
    codes={
        "nix.netrc.ok": "the netrc that Nix reads has what this cache needs",
        "nix.netrc.none": "there is no netrc, and none is needed",
        "nix.netrc.system": "the netrc is the daemon's, which alone may read it",
        "nix.netrc.unreadable": "this user cannot read the netrc that Nix is told to read",
        "nix.netrc.broken": "the netrc opens a quotation that it does not close, and Nix reads no further",
        "nix.netrc.port": "an entry names a port, and so never matches",
        "nix.netrc.no-entry": "a token is needed, and the netrc has no entry for the host",
        "nix.netrc.open": "the netrc holds credentials and is readable by others",
        "nix.netrc.daemon": "it is a daemon that needs the credentials",
    },
    needs=("nix.mode", "nix.trust"),
)
