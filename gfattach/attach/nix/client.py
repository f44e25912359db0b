"""Nix as a client of its substituter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.agent.model.spec import FollowedNetrc, GuardedFile
from gfattach.attach.client.client import Client, Found, Measures, fault_of
from gfattach.attach.client.session import Session, UpSession
from gfattach.attach.nix import token as nix_token
from gfattach.attach.nix.authorities import write_bundle
from gfattach.attach.route import agents
from gfattach.attach.route.plan import Plan
from gfattach.attach.route.route import watch
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ProgramMissingError
from gfattach.core.finding import Finding, ok
from gfattach.fragments import nixconf
from gfattach.fragments.home import NETRC, NIX_AUTHORITIES
from gfattach.net.proxy_environment import proxy_for, proxy_towards
from gfattach.net.route import through_proxy
from gfattach.nix.daemon import Mode
from gfattach.nix.program import Nix, locate, waits_when_limited
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.certificates import stage as certificates
from gfattach.probes.certificates.subject import of_substituter, probe_name
from gfattach.probes.nix import stage as nix_probes
from gfattach.probes.substituter import stage as substituter_probes
from gfattach.proof.evidence import Phase
from gfattach.proof.measure import Measurement
from gfattach.proof.nix import phases as nix_phases
from gfattach.tls.certificate import Certificate
from gfattach.tls.inspection import Inspection
from gfattach.tls.purpose import Purpose
from gfattach.undo.journal import Journal

#: Seconds that a phase may take: a few small paths, with retries against a slow cache.
NIX_SECONDS = 120.0

#: Seconds that paths which a person names may take, with all that they refer to.
PATHS_SECONDS = 1800.0

#: Seconds for the agent to see that a substituter is well which has just passed its probes.
SEEN_SECONDS = 2.0


class NixFound(Found, frozen=True):
    """The Nix at hand, None when there is none to prove with.

    `settings` are those that the probes look at, as they are without the fragment; None without a Nix.
    `daemon` says that a daemon stands before the store, `restricted` that it does not trust this user, whose
    settings then count for little.
    """

    nix: Nix | None = None
    settings: Mapping[str, Any] | None = None
    daemon: bool = False
    restricted: bool = False


class NixClient(Client[SubstituterTarget]):
    """Nix as a client of its substituter.

    `earlier` is the fragment of an earlier attach, `paths` are store paths to realise besides those that the
    site publishes.
    """

    name = "nix"
    serves = "substituter"
    fragment = "nix-conf"
    guarded = True
    beside = (NETRC, NIX_AUTHORITIES)
    token_step = "token"
    found: NixFound | None

    def __init__(
        self,
        session: Session,
        target: SubstituterTarget | None,
        *,
        earlier: Path | None = None,
        paths: tuple[str, ...] = (),
    ) -> None:
        super().__init__(session, target, substituter_probes.STAGE)
        self._earlier = earlier
        self._paths = paths

    @property
    def asked_for(self) -> bool:
        """Whether `--no-nix` was not given."""
        return self.session.clients.use_nix

    def token_found(self, host: str) -> Finding:
        """It goes with every request."""
        return ok("credential.nix.found", f"{host} is asked with the token that is stored for it")

    def ask_certificate(self) -> bool:
        """Whom Nix itself trusts, its own stage compares.

        What lies behind an https proxy is not looked at: the substituter's stage says what comes of it.
        """
        endpoint = self.cache.endpoint
        if not endpoint.tls:
            return True
        try:
            proxy = proxy_towards(endpoint.scheme, endpoint.host, self.session.environ)
        except ValueError:
            return True
        route = None if proxy is None else through_proxy(proxy, endpoint.host, endpoint.port)
        if proxy is not None and route is None:
            return True
        stage = certificates.stage_of(Purpose.SUBSTITUTER)
        return self.session.passes(
            stage, of_substituter(self.cache, route=route, environ=self.session.environ)
        )

    def find_program(self) -> NixFound:
        """And whether what Nix is told will count."""
        self.found = self._ask_nix()
        return self.found

    def _ask_nix(self) -> NixFound:
        if not self.asked_for:
            return NixFound("Nix was left out (--no-nix)", left_out=True)
        findings = self.session.run.stage(nix_probes.STAGE, self.subject()).findings
        program, starts = findings["nix.program"], findings["nix.starts"]
        if (fault := fault_of((program, starts))) is not None:
            return NixFound(*fault)
        daemon = findings["nix.mode"].data.get("mode") == Mode.DAEMON.value
        restricted = daemon and findings["nix.trust"].data.get("trusted") is False
        nix = Nix.from_json(program.data)
        return NixFound(nix=nix, settings=starts.data["settings"], daemon=daemon, restricted=restricted)

    def subject(self) -> nix_probes.NixSubject:
        """What the stage of Nix is asked about, by what is known of the substituter so far."""
        return nix_probes.NixSubject(
            program=self.session.clients.nix,
            target=self.cache,
            fragment=self._earlier,
            environ=self.session.environ,
            netrc_given=bool(self.cache.token),
            authority=self._authority(),
            encodings=self._encodings("substituter.info", "substituter.narinfo"),
            nar_encodings=self._encodings("substituter.nar"),
            workspace=self.session.home.workspace,
        )

    def _authority(self) -> Certificate | None:
        """Who vouches for the substituter, as `ask_certificate` saw it; None where it did not."""
        handshake = self.session.run.findings.get(probe_name(Purpose.SUBSTITUTER, "certificates.handshake"))
        if handshake is None or "inspection" not in handshake.data:
            return None
        return Inspection.from_json(handshake.data["inspection"]).anchor

    def _encodings(self, *probes: str) -> tuple[str, ...]:
        """The Content-Encodings that answers to `probes` came in."""
        found = self.session.run.findings
        names = [
            name for probe in probes if probe in found for name in found[probe].data.get("encodings", ())
        ]
        return tuple(dict.fromkeys(names))

    def ask_memory(self) -> None:
        """Ask what Nix remembers of the cache, where there is a Nix: that changes behind an attachment's
        back.
        """
        try:
            there = locate(self.session.clients.nix, self.session.environ)
        except ProgramMissingError:
            return
        if there is not None:
            subject = nix_probes.NixSubject(
                program=str(there), target=self.cache, environ=self.session.environ
            )
            self.session.run.stage(nix_probes.MEMORY_STAGE, subject)

    @contextmanager
    def measures(self, measurement: Measurement, nonce: str = "") -> Iterator[Measures]:
        """Of the Nix that was found. A Nix cache is not filled from here, so no nonce has a part in it."""
        nix = None if self.found is None else self.found.nix
        session = self.session
        work = session.home.work / "nix"
        yield NixMeasures(nix, self.cache, work, measurement, session.environ, self._paths)

    def write_fragment(self, up: UpSession) -> tuple[Sequence[str], Mapping[str, Finding]]:
        """The nix.conf, which an agent empties whenever the substituter is down.

        One that is reached by a proxy of the environment is not watched: the agent dials what it watches, and
        would find it down. Where it forwards nothing either, there is none.
        """
        home, target, found = up.home, self.cache, self.found
        assert found is not None
        path = nixconf.fragment_path(home)
        netrc = nix_token.write_netrc(home, target, found.nix, up.environ, restricted=found.restricted)
        bundle = write_bundle(home, target, found.settings, up.environ, daemon=found.daemon)
        text = nixconf.render(
            target,
            found.settings,
            netrc_file=netrc.path,
            authorities=bundle,
            restricted=found.restricted,
            waits_when_limited=found.nix is not None and waits_when_limited(found.nix),
        )
        # Outside the home when Nix cannot include a path in it: the journal knows of it then, and of what
        # the agent makes of it while the substituter is down.
        journal = Journal(home)
        journal.will_change(path, nixconf.emptied().encode())
        journal.will_change(path, text.encode())
        watched = watch(target) if up.route.nix_forward is None and self._proxy is None else None
        asked = watched or up.route.nix_forward
        guarded = None if asked is None else GuardedFile(path, asked.name, text, nixconf.emptied())
        followed = None
        if netrc.path is not None and netrc.source is not None:
            followed = FollowedNetrc(netrc.path, netrc.source)
        plan = replace(up.plan, nix_conf=path, watch=watched, guarded=guarded, netrc=followed)
        up.hold(plan, anew=True)
        if guarded is not None and up.agent is not None:
            # It may have seen the substituter down a moment ago: the fragment is full once it sees it up.
            agents.settled(up.agent, [guarded.forward], SEEN_SECONDS, ["up"])
        written = {"nix-conf": ok("fragment.written", str(path), path=str(path))}
        tokens = {f"nix-netrc-{place}": finding for place, finding in enumerate(netrc.findings, 1)}
        return (nixconf.activation(path),), written | tokens

    def fragment_of(self, plan: Plan) -> Path | None:
        """The nix.conf."""
        return plan.nix_conf

    def without(self, plan: Plan) -> Plan:
        """Without the nix.conf. A forward that none has named yet is held on to, and tried again."""
        if plan.nix_conf is None:
            return plan
        return replace(plan, nix_conf=None, guarded=None, watch=None, netrc=None, holds_nix=False)

    def discard(self, up: UpSession, fragment: Path) -> None:
        """The agent empties it, and the journal has to know that before."""
        Journal(up.home).will_change(fragment, nixconf.emptied().encode())

    @property
    def _proxy(self) -> str | None:
        """The proxy of the environment that leads to the substituter."""
        endpoint = self.cache.endpoint
        return proxy_for(endpoint.scheme, endpoint.host, self.session.environ)


class NixMeasures(Struct, frozen=True):
    """The phases with a Nix, none without one; see `Measures`."""

    nix: Nix | None
    target: SubstituterTarget
    work: Path
    measurement: Measurement
    environ: Mapping[str, str]
    paths: tuple[str, ...] = ()

    def fill(self) -> None:
        """gfattach never publishes to a Nix cache."""

    def hit(self, *, warm: bool) -> None:
        """Realise the probe paths and `paths` in an empty store, from this substituter alone."""
        seconds = PATHS_SECONDS if self.paths else NIX_SECONDS
        self._measure("nix-hit", "substitute into an empty store", nix_phases.hit, seconds)

    def hit_again(self, *, warm: bool) -> None:
        """Nix has no server that would make a difference."""

    def control(self) -> None:
        """The same with the endpoint withheld."""
        title = "withhold the substituter: nothing may come"
        self._measure("nix-control", title, nix_phases.control, NIX_SECONDS)

    def _measure(self, name: str, title: str, phase: Callable[..., Phase], seconds: float) -> None:
        if self.nix is not None:
            asked = (self.nix, self.target, self.work, self.paths)
            self.measurement.measure(
                name,
                title,
                lambda progress: phase(
                    *asked, deadline=Deadline.after(seconds), progress=progress, environ=self.environ
                ),
            )
