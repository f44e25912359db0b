"""Bazel as a client of its cache."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gfattach.agent.model.spec import GuardedFile
from gfattach.attach.bazel import token as bazel_token
from gfattach.attach.bazel.ahead import FLAG_CACHE, subject_of
from gfattach.attach.client.client import Client, Found, Measures, Unattached, fault_of
from gfattach.attach.client.session import Session, UpSession
from gfattach.attach.route import agents
from gfattach.attach.route.plan import Plan
from gfattach.attach.route.route import read_only
from gfattach.bazel.program.binary import Bazel
from gfattach.contract.environment import detached
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Progress
from gfattach.core.files import remove, write_atomic
from gfattach.core.finding import Finding, ok
from gfattach.core.paths import cache_directory
from gfattach.credential.helper import HELPER_NAME
from gfattach.fragments import bazelrc
from gfattach.fragments import link as links
from gfattach.fragments.home import BAZELRC
from gfattach.fragments.inputs import input_lines
from gfattach.fragments.transport import Transport, select_endpoint
from gfattach.probes.bazel import stage as bazel_probes
from gfattach.probes.bazel.fallback import remembered_fallback
from gfattach.probes.cache import stage as cache_probes
from gfattach.probes.certificates import stage as certificates
from gfattach.probes.certificates.subject import of_cache, probe_name
from gfattach.proof import evidence, protocol
from gfattach.proof.bazel.phases import BazelPhases
from gfattach.proof.evidence import Phase
from gfattach.proof.measure import Measurement
from gfattach.reapi.target import CacheTarget
from gfattach.site.inputs import with_site_inputs
from gfattach.site.load import load_site
from gfattach.tls.inspection import Inspection
from gfattach.tls.purpose import Purpose
from gfattach.undo.journal import Journal

#: Seconds that a phase may take: a few round trips; a cold Bazel and twenty small actions.
PROTOCOL_SECONDS = 10.0
BAZEL_SECONDS = 300.0

#: Seconds for the agent to see that a cache is well which has just passed its probes.
SEEN_SECONDS = 2.0


class BazelFound(Found, frozen=True):
    """The Bazel at hand, None when there is none to prove with, and the flags that it accepts.

    `tls`, `socket` and `compression` say what it can do, where that was asked; `builds_without` that it
    builds without the cache where it is told to, `ends_without` that it ends where it is told that.
    """

    bazel: Bazel | None = None
    accepted: frozenset[str] | None = None
    tls: bool = True
    socket: bool = True
    compression: bool = False
    builds_without: bool = True
    ends_without: bool = True

    @property
    def lacks_transport(self) -> bool:
        """Whether it is fine but for reaching the endpoint."""
        return not (self.tls and self.socket)


class BazelClient(Client[CacheTarget]):
    """Bazel as a client of its cache."""

    name = "bazel"
    serves = "cache"
    fragment = "bazelrc"
    guarded = False
    beside = (HELPER_NAME,)
    token_step = "cache-token"
    found: BazelFound | None

    def __init__(self, session: Session, target: CacheTarget | None) -> None:
        super().__init__(session, target, cache_probes.STAGE)
        # A plaintext cache's, which a Bazel goes by that can: what is attached already has it in its target.
        plaintext = target is not None and not target.endpoint.tls
        self._socket = target.socket if target is not None and plaintext else None

    @property
    def asked_for(self) -> bool:
        """Whether `--no-bazel` was not given."""
        return self.session.clients.use_bazel

    def token_found(self, host: str) -> Finding:
        """It goes with every call."""
        return ok("credential.cache.found", f"what is stored for {host} is sent with every call")

    def ask_certificate(self) -> bool:
        """Against the Bazel at hand, once that is known."""
        if not self.cache.endpoint.tls:
            return True
        found = self.found
        subject = of_cache(self.cache, None if found is None else found.bazel)
        if found is not None and not found.tls:  # it is never asked to trust anybody
            subject = replace(subject, for_bazel=False)
        return self.session.passes(certificates.stage_of(Purpose.CACHE), subject)

    def find_program(self, *, plaintext_allowed: bool = False) -> BazelFound:
        """`plaintext_allowed` lets a forward end TLS for it."""
        self.found = self._ask_bazel(plaintext_allowed)
        return self.found

    def prepare(self, up: UpSession) -> Found:
        """Besides, have a Bazel that can go to a plaintext cache by the socket of its forward."""
        self._socket = up.route.cache_socket
        found = super().prepare(up)
        up.change(route=replace(up.route, cache=self.target))
        return found

    def _ask_bazel(self, plaintext_allowed: bool) -> BazelFound:
        found = self._asked(plaintext_allowed)
        if not self.cache.endpoint.tls:
            socket = self._socket if found.bazel is not None and found.socket else None
            self.target = replace(self.cache, socket=socket)
        return found

    def _asked(self, plaintext_allowed: bool) -> BazelFound:
        session, target = self.session, self.cache
        if not self.asked_for:
            return BazelFound("Bazel was left out (--no-bazel)", left_out=True)
        tls = target.endpoint.tls
        subject = replace(
            subject_of(session, session.kept),
            needs_transport=tls,
            through_socket=tls and target.socket is not None,
            socket_offered=self._socket is not None,
            plaintext_allowed=plaintext_allowed,
            # A TLS cache is asked after Bazel: until then it may offer it.
            compression_offered=target.endpoint.grpc and self._offers_zstd(unknown=True),
        )
        later = session.kept is not None  # what only confirms is asked after the hit
        stage = bazel_probes.BEFORE_HIT if later else bazel_probes.STAGE
        findings = session.run.stage(stage, subject).findings
        transport = findings["bazel.transport"]
        can = {name: bool(transport.data.get(name, True)) for name in ("tls", "socket")}
        names = list(findings)
        asked = names if not tls or all(can.values()) else names[: names.index("bazel.transport")]
        if (fault := fault_of(findings[name] for name in asked)) is not None:
            return BazelFound(*fault)
        accepted = frozenset(findings["bazel.flags"].data["accepted"])
        bazel = Bazel.from_json(findings["bazel.program"].data)
        builds, ends = (
            remembered_fallback(bazel, flag_cache()) if later else _fallback(findings["bazel.fallback"])
        )
        return BazelFound(
            transport.seen if transport.failed else "",
            transport.failed,
            False,
            bazel,
            accepted,
            compression=bool(findings["bazel.compression"].data.get("compression")),
            builds_without=builds,
            ends_without=ends,
            **can,
        )

    def _offers_zstd(self, *, unknown: bool) -> bool:
        """Whether the cache says that it takes zstd; `unknown` where it was not asked."""
        asked = self.session.run.findings.get("cache.capabilities")
        return unknown if asked is None else "ZSTD" in asked.data.get("compressors", ())

    @contextmanager
    def measures(self, measurement: Measurement, nonce: str = "") -> Iterator[Measures]:
        """Of the protocol, and of the Bazel that was found, if one was."""
        found, target = self.found, self.cache
        if found is None or found.bazel is None or found.failed:
            yield BazelMeasures(target, None, measurement, nonce)
            return
        work = self.session.home.work / "bazel"
        # With the very lines that builds will have.
        rc = self.session.home.directory / BAZELRC
        with BazelPhases(
            found.bazel,
            target,
            work,
            nonce=nonce,
            flag_cache=flag_cache(),
            fragment=rc if rc.is_file() else None,
            kept=self.session.kept,
        ) as phases:
            yield BazelMeasures(target, phases, measurement, nonce)

    def agree_on_tls(self, up: UpSession) -> None:
        """Have a Bazel and the certificate agree, and lead it to a TLS cache by what it can do.

        The Bazel at hand is asked before the certificate, since its trust store counts.
        """
        up.change(route=replace(up.route, cache=self.target))
        if not self.cache.endpoint.tls:
            return
        allowed = up.options.allow_plaintext_loopback
        found = self.find_program(plaintext_allowed=allowed)
        super().agree_on_tls(up)
        if found.failed and not found.lacks_transport:
            raise Unattached(found.reason)
        # Without the option, what Bazel lacks has ended its part in its own stage.
        local = allowed and self._certificate_is_for("localhost")
        transport = select_endpoint(
            self.cache, tls=found.tls, socket=found.socket, for_localhost=local, allow_plaintext=allowed
        )
        self._lead(up, transport)
        self.found = replace(found, failed=False, reason="")

    def _certificate_is_for(self, name: str) -> bool:
        """Whether the certificate that `ask_certificate` has seen is for `name` as well."""
        handshake = self.session.run.findings[probe_name(Purpose.CACHE, "certificates.handshake")]
        chain = Inspection.from_json(handshake.data["inspection"]).chain
        return bool(chain) and chain[0].is_for(name)

    def _lead(self, up: UpSession, transport: Transport) -> None:
        """Lead to the cache by `transport`. Raises AgentError and StorageError."""
        if transport is Transport.PLAINTEXT:
            ended = replace(up.route, cache_forward=up.route.plain_forward, plain_forward=None)
            up.open_forwards(ended, "plaintext", "open a forward that ends TLS")
        else:
            up.hold(_without_plaintext(up.plan), anew=up.stale)
        up.stale = False
        if transport is Transport.LOCALHOST:
            assert up.route.cache_listener is not None
            endpoint = replace(self.cache.endpoint, host="localhost", port=up.route.cache_listener[1])
            up.change(route=replace(up.route, cache=replace(self.cache, endpoint=endpoint, socket=None)))
        self.target = up.route.cache

    def write_fragment(self, up: UpSession) -> tuple[Sequence[str], Mapping[str, Finding]]:
        """The rc, linked into the workspace where that was asked for."""
        home, target, found = up.home, self.cache, self.found
        assert found is not None
        path = home.directory / BAZELRC
        token = bazel_token.offer(
            target.token_host,
            home.directory,
            found.accepted,
            dialled=target.endpoint.host,
            port=target.endpoint.port,
            label="this Bazel" if found.bazel is None else f"{found.bazel.path}, {found.bazel.label},",
            environ=up.environ,
        )
        text = bazelrc.render(
            read_only(target),
            None if found.accepted is None else bazelrc.accepted_names(found.accepted),
            on_cache_down=up.options.on_cache_down,
            credential_helper=token.helper,
            zstd=found.compression and self._offers_zstd(unknown=False),
        )
        site = load_site(up.options.site, detached(up.environ), home.workspace)
        text += input_lines(with_site_inputs({}, site))
        write_atomic(path, text.encode())
        self._guard(up, path, text)
        findings = {"bazelrc": ok("fragment.written", str(path), path=str(path))}
        if token.finding is not None:
            findings["bazel-token"] = token.finding
        linked = links.offer(home, path)
        if up.options.link:
            linked = links.link(home, path, Journal(home))
            findings["link"] = ok("fragment.linked", f"imported by {linked.file}", path=str(linked.file))
        linking = (linked.file,) if up.options.link and linked.file else up.plan.links
        up.change(bazelrc=path, links=linking)
        return (
            linked.hints or (f"read by every Bazel of this workspace, through {linked.file}",),
            findings,
        )

    def settle(self, up: UpSession) -> None:
        """Ask what this Bazel does without its cache, and have the rc guarded where that is not what
        was wanted.
        """
        found, fragment = self.found, up.plan.bazelrc
        if found is None or found.bazel is None or up.kept is None or fragment is None:
            return
        # The program was found and its flags are known: one of them is all that is left to ask.
        findings = up.run.stage(bazel_probes.AFTER_HIT, subject_of(up, up.kept)).findings
        builds, ends = _fallback(findings["bazel.fallback"])
        if (builds, ends) != (found.builds_without, found.ends_without):
            self.found = replace(found, builds_without=builds, ends_without=ends)
            self._guard(up, fragment, fragment.read_text(encoding="utf-8"))

    def _guard(self, up: UpSession, path: Path, text: str) -> None:
        """Have the agent keep the rc, where this Bazel does not do without its cache what it is told to.

        A cache that is dialled directly has no forward to follow: `gfattach bazel` looks then. Raises
        AgentError.
        """
        found, forward, wanted = self.found, up.route.cache_forward, up.options.on_cache_down
        assert found is not None
        does = found.builds_without if wanted == "local" else found.ends_without
        guarded = None
        if forward is not None and not does:
            guarded = GuardedFile(path, forward.name, text, bazelrc.away(wanted))
        up.hold(replace(up.plan, bazelrc=path, guarded_rc=guarded))
        if guarded is not None and up.agent is not None:
            agents.settled(up.agent, [guarded.forward], SEEN_SECONDS, ["up"])

    def fragment_of(self, plan: Plan) -> Path | None:
        """The rc."""
        return plan.bazelrc

    def without(self, plan: Plan) -> Plan:
        """Without the rc, and nothing listens in plaintext for a TLS cache then."""
        return replace(_without_plaintext(plan), bazelrc=None, guarded_rc=None)

    def discard(self, up: UpSession, fragment: Path) -> None:
        """Bazel passes over an import that is gone."""
        remove(fragment)


def _fallback(finding: Finding) -> tuple[bool, bool]:
    """Whether Bazel builds without its cache where it is told to, and ends where it is told that."""
    return bool(finding.data.get("local", True)), bool(finding.data.get("fail", True))


def _without_plaintext(plan: Plan) -> Plan:
    return replace(plan, route=replace(plan.route, plain_forward=None))


def flag_cache() -> Path:
    """Where the flags that each Bazel knows are remembered."""
    return cache_directory() / FLAG_CACHE


class BazelMeasures(Struct, frozen=True):
    """The phases at the level of the protocol and, where there is one, with Bazel; see `Measures`."""

    target: CacheTarget
    phases: BazelPhases | None
    measurement: Measurement
    nonce: str = ""

    def fill(self) -> None:
        """Store the protocol's action, and the probe of the Bazel at hand."""
        saying = "building the probe once, so that there is something to hit"
        self._measure("fill", "store what a proof asks for", protocol.fill, saying, BazelPhases.fill)

    def hit(self, *, warm: bool) -> None:
        """Ask for them."""
        build = functools.partial(BazelPhases.hit, warm=warm)
        saying = "building the probe from the cache"
        self._measure("hit", "ask the cache for it", protocol.hit, saying, build)

    def hit_again(self, *, warm: bool) -> None:
        """With a warm server after a cold one, or the reverse. None where nothing hit."""
        phases = self.phases
        served = any(each.client is evidence.Client.BAZEL and each.hits for each in self.measurement.phases)
        if phases is not None and served:
            name = "warm" if warm else "cold"
            self.measurement.measure(
                name,
                f"the same with a {name} Bazel server",
                lambda progress: phases.hit(Deadline.after(BAZEL_SECONDS), warm=warm),
            )

    def control(self) -> None:
        """Ask once more with the endpoint withheld."""
        saying = "building the probe without the cache: nothing may hit"
        title = "withhold the endpoint: the hits have to vanish"
        self._measure("control", title, protocol.control, saying, BazelPhases.control)

    def _measure(
        self,
        name: str,
        title: str,
        ask: Callable[[CacheTarget, Deadline, str], Phase],
        saying: str,
        build: Callable[[BazelPhases, Deadline], Phase],
    ) -> None:
        def work(progress: Progress) -> list[Phase]:
            measured = [ask(self.target, Deadline.after(PROTOCOL_SECONDS), self.nonce)]
            if self.phases is not None:
                progress(saying)
                measured.append(build(self.phases, Deadline.after(BAZEL_SECONDS)))
            return measured

        self.measurement.measure(name, title, work)
