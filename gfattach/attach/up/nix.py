"""The Nix half of `up`: ask substituter and Nix, write the fragment, measure the hits, or take all back."""

from __future__ import annotations

from collections.abc import Mapping

from gfattach.attach.nix import checks as nix_side
from gfattach.attach.nix import token as nix_token
from gfattach.attach.route import agents, forwards, guarding
from gfattach.attach.up.session import UpSession
from gfattach.core.files import remove
from gfattach.core.finding import Finding, ok
from gfattach.fragments import nixconf
from gfattach.fragments.home import NETRC
from gfattach.nixcache.target import SubstituterTarget
from gfattach.undo.journal import Journal


def attach_nix(up: UpSession) -> None:
    """Attach it, if the site names a substituter."""
    target, run = up.route.substituter, up.run
    if target is None:
        up.not_proved.append("nix: the site names no substituter")
        return
    if up.route.nix_forward is not None and forwards.failed(up.route.nix_forward, run):
        up.not_proved.append("nix: the forward to the substituter is down")
        _roll_back(up)
        return
    before = len(up.failures)
    with up.isolate_failure("nix"):
        target = nix_token.with_token(target, run)
    if len(up.failures) > before:
        _roll_back(up)
        return
    if not nix_side.ask_certificate(target, run):
        up.not_proved.append("nix: the certificate of the substituter did not pass its probes")
        _roll_back(up)
        return
    if not nix_side.ask_substituter(target, run):
        up.not_proved.append("nix: the substituter did not pass its probes")
        _roll_back(up)
        return
    found = nix_side.ask_nix(target, up.options.clients, run, up.record.nix_conf)
    if found.reason:
        up.not_proved.append(f"nix: {found.reason}")
    if found.failed:
        _roll_back(up)
        return
    run.step("nix-conf", "write the Nix fragment", lambda progress: _write(up, found, target))
    if found.nix is None:
        return
    before = len(up.failures)
    with up.isolate_failure("nix"):
        nix_side.hit(found.nix, target, up.home, up.measurement, up.options.nix_paths)
    if len(up.failures) > before:
        _roll_back(up)


def _write(up: UpSession, found: nix_side.NixFound, target: SubstituterTarget) -> Mapping[str, Finding]:
    path = nixconf.fragment_path(up.home)
    netrc = nix_token.write_netrc(up.home, target, found.nix)
    text = nix_side.render_fragment(target, found, netrc.path)
    # Outside the home when Nix cannot include a path in it: the journal knows of it then, and of what
    # the agent makes of it while the substituter is down.
    journal = Journal(up.home)
    journal.will_change(path, nixconf.emptied().encode())
    journal.will_change(path, text.encode())
    up.save(agent=agents.directory_for(up.route), nix_conf=path)
    if not guarding.guard(up.route, up.home, path, text, up.options.lease_hours):
        up.save(agent=None)
    up.nix_use = nixconf.activation(path)
    written = {"nix-conf": ok("fragment.written", str(path), path=str(path))}
    return written | {f"nix-netrc-{place}": finding for place, finding in enumerate(netrc.findings, 1)}


def _roll_back(up: UpSession) -> None:
    remove(up.home.directory / NETRC)
    if up.record.nix_conf is not None:
        guarding.unguard(up.route, up.home, up.options.lease_hours)
        Journal(up.home).will_change(up.record.nix_conf, nixconf.emptied().encode())
        up.save(nix_conf=None, agent=up.record.agent if up.route.listens else None)
