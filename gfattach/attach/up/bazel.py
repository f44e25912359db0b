"""The Bazel half of `up`: ask the cache and Bazel, write the fragment, measure the hits, or take all back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gfattach.attach.bazel import checks as bazel_side
from gfattach.attach.bazel import token as bazel_token
from gfattach.attach.bazel.checks import BazelFound
from gfattach.attach.route import agents, forwards
from gfattach.attach.route.route import read_only
from gfattach.attach.up.session import UpSession
from gfattach.core.files import remove, write_atomic
from gfattach.core.finding import Finding, ok
from gfattach.credential.helper import HELPER_NAME
from gfattach.fragments import link as links
from gfattach.fragments.home import BAZELRC
from gfattach.fragments.transport import Transport, select_endpoint
from gfattach.reapi.target import CacheTarget
from gfattach.undo.journal import Journal


def attach_bazel(up: UpSession) -> Callable[[], None] | None:
    """Attach it; what is still to be measured when the other half is done, if anything."""
    target, run = up.route.cache, up.run
    if target is None:
        up.not_proved.append("bazel: the site names no cache")
        return None
    if up.route.cache_forward is not None and forwards.failed(up.route.cache_forward, run):
        up.not_proved.append("bazel: the forward to the cache is down")
        _roll_back(up)
        return None
    before = len(up.failures)
    with up.isolate_failure("bazel"):
        target = bazel_token.ask_with_token(target, run)
    if len(up.failures) > before:
        _roll_back(up)
        return None
    up.route = replace(up.route, cache=target)
    found = None
    if target.endpoint.tls:
        found = _agree_on_tls(up, target)
        if found is None:
            _roll_back(up)
            return None
        target = up.route.cache
        assert target is not None
    if not bazel_side.ask_cache(target, run):
        up.not_proved.append("bazel: the cache did not pass its probes")
        _roll_back(up)
        return None
    found = found or bazel_side.ask_bazel(target, up.options.clients, up.home, run)
    if found.failed:
        up.not_proved.append(f"bazel: {found.reason}")
        _roll_back(up)
        return None
    if found.bazel is None:
        up.not_proved.append(f"bazel: {found.reason}")
    run.step("bazelrc", "write the Bazel fragment", lambda progress: _write(up, found))
    with up.isolate_failure("bazel"), bazel_side.phases_of(found, target, up.home) as phases:
        if up.route.fills:
            bazel_side.fill(up.route, phases, up.measurement)
        bazel_side.hit(target, phases, up.measurement, warm=up.route.fills)
        if phases is not None and not up.route.fills:
            bazel_side.hit_again(phases, up.measurement, warm=True)
    if up.failures:
        _roll_back(up)
    if up.failures or found.bazel is None or not up.route.fills:
        return None
    return lambda: _measure_cold(up, found)


def _agree_on_tls(up: UpSession, target: CacheTarget) -> BazelFound | None:
    """Find a Bazel, have it and the certificate of the cache agree, and lead it there by the road that it can
    take; None when that fails.
    """
    allowed = up.options.allow_plaintext_loopback
    found = bazel_side.ask_bazel(target, up.options.clients, up.home, up.run, plaintext_allowed=allowed)
    if not bazel_side.ask_certificate(target, up.run, found):
        up.not_proved.append("bazel: the certificate of the cache did not pass its probes")
        return None
    if found.failed and not found.lacks_transport:
        up.not_proved.append(f"bazel: {found.reason}")
        return None
    before = len(up.failures)
    with up.isolate_failure("bazel"):
        # Without the option, what Bazel lacks has ended this half in its own stage.
        local = allowed and bazel_side.certificate_is_for("localhost", up.run)
        transport = select_endpoint(
            target, tls=found.tls, socket=found.socket, for_localhost=local, allow_plaintext=allowed
        )
        _lead(up, target, transport)
        return replace(found, failed=False)
    assert len(up.failures) > before
    return None


def _lead(up: UpSession, target: CacheTarget, transport: Transport) -> None:
    """Lead the cache of the way by `road`, and record that. Raises AgentError and StorageError."""
    lease = up.options.lease_hours
    if transport is Transport.PLAINTEXT:
        up.save(agent=agents.directory_for(up.route))
        up.route = forwards.end_tls(up.route, up.home, lease, up.run)
    else:
        _close_plaintext(up)
    if transport is Transport.LOCALHOST:
        assert up.route.cache_listener is not None
        endpoint = replace(target.endpoint, host="localhost", port=up.route.cache_listener[1])
        up.route = replace(up.route, cache=replace(target, endpoint=endpoint, socket=None))
    assert up.route.cache is not None
    up.save(cache=read_only(up.route.cache))


def _close_plaintext(up: UpSession) -> None:
    """Have nothing listen in the clear for a TLS cache, of this attach or an earlier one."""
    earlier = up.record.agent if up.plaintext_before else None
    up.route = forwards.close_plaintext(up.route, up.home, up.options.lease_hours, earlier)
    up.plaintext_before = False


def _measure_cold(up: UpSession, found: bazel_side.BazelFound) -> None:
    """The figure that a first hit with the server of the fill did not give."""
    assert up.route.cache is not None
    with up.isolate_failure("bazel"), bazel_side.phases_of(found, up.route.cache, up.home) as phases:
        assert phases is not None
        bazel_side.hit_again(phases, up.measurement, warm=False)


def _write(up: UpSession, found: bazel_side.BazelFound) -> Mapping[str, Finding]:
    assert up.route.cache is not None
    path = up.home.directory / BAZELRC
    cache = up.route.cache
    dialled = cache.endpoint
    token = bazel_token.offer(
        cache.token_host,
        up.home.directory,
        found.accepted,
        dialled=dialled.host,
        port=dialled.port,
        label="this Bazel" if found.bazel is None else f"{found.bazel.path}, {found.bazel.label},",
    )
    text = bazel_side.render_fragment(up.route.cache, found, up.options.on_cache_down, up.run, token.helper)
    write_atomic(path, text.encode())
    findings = {"bazelrc": ok("fragment.written", str(path), path=str(path))}
    if token.finding is not None:
        findings["bazel-token"] = token.finding
    linked = links.offer(up.home, path)
    if up.options.link:
        linked = links.link(up.home, path, Journal(up.home))
        findings["link"] = ok("fragment.linked", f"imported by {linked.file}", path=str(linked.file))
    up.bazel_use = linked.hints or (f"read by every Bazel of this workspace, through {linked.file}",)
    linking = (linked.file,) if up.options.link and linked.file else up.record.links
    up.save(bazelrc=path, links=linking)
    return findings


def _roll_back(up: UpSession) -> None:
    _close_plaintext(up)
    remove(up.home.directory / HELPER_NAME)
    if up.record.bazelrc is not None:
        remove(up.record.bazelrc)
        up.save(bazelrc=None)
