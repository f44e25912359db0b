"""A diagnosis: every probe of every stage, attached or not. Nothing is written, nothing is started.

It does not share the path by which the other commands start: what keeps them from starting (a damaged record,
a site's file with faults, a workspace that is not trusted) is a finding of the stage `state` here, and what
does not depend on it is asked all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from gfattach import __version__
from gfattach.attach.model import record as records
from gfattach.attach.model.options import ClientOptions, UpOptions
from gfattach.attach.model.record import Attachment
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.errors import ExitCode, GfattachError
from gfattach.core.finding import Finding, Status, fail, ok, warn
from gfattach.core.paths import Home, cache_directory, state_directory
from gfattach.doctor.selection import Selection
from gfattach.doctor.verdict import Verdict, verdict
from gfattach.probes.machine import stage as machine
from gfattach.probes.machine.facts import MachineFacts, read_facts
from gfattach.site.allow import demand_wrapper
from gfattach.site.load import load_site
from gfattach.site.site import Site

if TYPE_CHECKING:
    from gfattach.probes.cluster.subject import ClusterSubject

#: Seconds for all probes together, whatever hangs.
SECONDS = 25.0


class DoctorOptions(Struct, frozen=True):
    """What is diagnosed: `site` are settings by key; `deep` starts a Bazel; `strict` fails on warnings."""

    workspace: Path | None = None
    site: Mapping[str, Any] = field(default_factory=dict)
    clients: ClientOptions = field(default_factory=ClientOptions)
    selection: Selection = field(default_factory=Selection)
    strict: bool = False
    deep: bool = False


class Diagnosis(Struct, frozen=True):
    """What came of it. `facts` are of the machine, `site` what is known of it, None where it has faults."""

    verdict: Verdict
    facts: MachineFacts
    attachment: Attachment | None
    site: Site | None

    @property
    def exit_code(self) -> ExitCode:
        """1 where something failed, also a warning where that was asked for."""
        return ExitCode.FAILED if self.verdict.state is Status.FAIL else ExitCode.GOOD

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {
            "verdict": self.verdict.as_json(),
            "attached": self.attachment is not None,
            "machine": machine_class(self.facts),
            "site": {"settings": {} if self.site is None else self.site.as_json()},
        }


def machine_class(facts: MachineFacts) -> str:
    """What kind of machine it is, without a name of it: `Linux aarch64, 4 processors, 8 GiB`."""
    memory = "" if facts.total_memory is None else f", {facts.total_memory / 1024**3:.0f} GiB"
    return f"{facts.system} {facts.architecture}, {facts.processors} processors{memory}"


def diagnose(options: DoctorOptions, context: Context, run: Run) -> Diagnosis:
    """Ask everything that is selected, and past failures whatever does not depend on them."""
    run.account("start", "load configuration")
    home, record, site = _state(options, context, run)
    facts = read_facts(context.environ, _places(home), _socket(home))
    if options.selection.wants_stage(machine.STAGE):
        run.stage(machine.STAGE, facts)
    if home is not None:
        programs = [*_programs(options, home, record, site, context, run)]
        if options.selection.wants("workspace"):
            run.step("workspace", "look at the workspace's files", lambda progress: _workspace(home, context))
        _suppressed(lambda: _attachment(options, home, record, site, context, run))
        for program in programs:
            _suppressed(program)
        if options.deep and options.selection.wants("workspace"):
            _suppressed(lambda: _rc_flags(home, context, run))
        if home.workspace is not None:
            _files_of_further_stages(options, home.workspace, run)
    return Diagnosis(verdict(run.report(), strict=options.strict), facts, record, site)


def _suppressed(work: Callable[[], object]) -> None:
    """Do what may end early: the run has the finding of the step that ended it."""
    try:
        work()
    except GfattachError:
        return


def _state(
    options: DoctorOptions, context: Context, run: Run
) -> tuple[Home | None, Attachment | None, Site | None]:
    """What gfattach goes by itself: the workspace, the record, the site's file. Faults are findings."""
    found: dict[str, Finding] = {}
    home = _tried(found, "state.workspace", lambda: context.home(options.workspace))
    record = site = None
    if home is not None:
        where = home.workspace
        seen = "outside of any workspace" if where is None else str(where)
        found["state.workspace"] = ok("state.workspace.ok", seen)
        record = _tried(found, "state.record", lambda: records.load(home))
        if "state.record" not in found:
            found["state.record"] = _of_record(record)
        site = _tried(found, "state.site", lambda: load_site(options.site, context.environ, where))
        if site is not None:
            found["state.site"] = ok("state.site.ok", "what is said of the site can be read")
    if options.selection.wants("state"):
        run.step("state", "look at what gfattach itself goes by", lambda progress: found)
    return home, record, site


def _tried(found: dict[str, Finding], probe: str, work: Callable[[], Any]) -> Any:
    """What `work` returns; None and a finding where it raised."""
    try:
        return work()
    except GfattachError as error:
        why = "no other command can start while it is so"
        found[probe] = fail(error.code, error.fact, why, *error.hints)
        return None


def _of_record(record: Attachment | None) -> Finding:
    if record is None:
        return ok("state.record.none", "nothing is attached here")
    if record.version != __version__:
        return warn(
            "state.record.version",
            f"it was attached by gfattach {record.version}, and this is {__version__}",
            "its agent and fragments are of that version",
            "bring them up to date: gfattach up",
        )
    return ok("state.record.ok", f"attached ({record.kind}) since {record.created:%Y-%m-%d %H:%M} UTC")


def _places(home: Home | None) -> tuple[Path, ...]:
    """Where gfattach and the programs write."""
    own = () if home is None else (home.directory,)
    return (*own, state_directory(), cache_directory(), Path.home())


def _socket(home: Home | None) -> Path:
    """The path that a forward's socket would have."""
    key = "0" * 8 if home is None else home.key
    return state_directory() / "agents" / key / "00000000.sock"


def _workspace(home: Home, context: Context) -> Mapping[str, Finding]:
    from gfattach.contract.hazards.environment import environment_hazards
    from gfattach.contract.hazards.workspace import workspace_hazards

    found = {}
    warnings = (*environment_hazards(context.environ), *workspace_hazards(home, context.environ))
    for number, finding in enumerate(warnings):
        found[f"workspace.{number}"] = finding
    return found or {"workspace": ok("state.files.ok", "no file and no variable is in the way")}


def _attachment(
    options: DoctorOptions,
    home: Home,
    record: Attachment | None,
    site: Site | None,
    context: Context,
    run: Run,
) -> None:
    """Ask what is attached; else what would be. Raises GfattachError where a step did."""
    if record is not None:
        from gfattach.attach.status import ask_attachment

        agent = ask_attachment(home, record, context, run)
        if agent is not None and agent.version != __version__:
            seen = f"the agent is of gfattach {agent.version}, and this is {__version__}"
            hint = "have it replaced: gfattach up"
            version = warn("state.agent.version", seen, "it may not understand this one", hint)
            run.step("version", "compare versions", lambda progress: {"state.agent": version})
    if site is None or (record is not None and record.kind != "forward"):
        return
    from gfattach.attach.route.select import kind_of

    try:
        kind = kind_of(UpOptions(site=options.site), site, context.environ)
    except GfattachError as error:
        # Nothing to attach to is no fault; a kubeconfig that is named and is not there is one.
        status = Status.FAIL if context.environ.get("KUBECONFIG") else Status.SKIP
        reason = Finding(error.code, status, error.fact, hints=tuple(error.hints))
        run.step("site", "find out where the caches are", lambda progress: {"site": reason})
        return
    if kind == "forward":
        from gfattach.attach.route.cluster import survey

        def queue(subject: ClusterSubject) -> None:
            from gfattach.doctor import further

            if options.selection.wants("queue"):
                run.step("queue", "look at the runners' labels", lambda progress: further.queue(subject.api))

        survey(options.site, site, context, home, run, use_nix=options.clients.use_nix, also=queue)
    else:
        _ask_directly(options, home, site, context, run)


def _files_of_further_stages(options: DoctorOptions, workspace: Path, run: Run) -> None:
    """The manifest of remote execution and the contract of inputs, where the workspace has them."""
    from gfattach.doctor import further

    if options.selection.wants("rbe"):
        run.step("rbe", "check the eligibility manifest", lambda progress: further.manifest(workspace))
    if options.selection.wants("inputs"):
        run.step("inputs", "read the contract of inputs", lambda progress: further.contract(workspace))


def _ask_directly(options: DoctorOptions, home: Home, site: Site, context: Context, run: Run) -> None:
    from gfattach.attach.bazel.client import BazelClient
    from gfattach.attach.client.session import Session
    from gfattach.attach.nix.client import NixClient

    session = Session(context=context, home=home, run=run, clients=options.clients)
    if (cache := site.cache_target()) is not None:
        BazelClient(session, cache).answers()
    if (substituter := site.substituter_target()) is not None:
        NixClient(session, substituter).answers()


def _programs(
    options: DoctorOptions,
    home: Home,
    record: Attachment | None,
    site: Site | None,
    context: Context,
    run: Run,
) -> Iterator[Callable[[], object]]:
    """Bazel and Nix themselves: each is asked meanwhile, and shown by the call of what comes back.

    Without `deep` no Bazel is started. What has to know the caches' answers is asked when it is called.
    """
    from gfattach.attach.bazel.client import BazelClient
    from gfattach.attach.client.session import Session
    from gfattach.attach.nix.client import NixClient
    from gfattach.probes.bazel import stage as bazel
    from gfattach.probes.nix import stage as nix

    session = Session(context=context, home=home, run=run, clients=options.clients)
    cache, substituter = _targets(record, site)
    launched: dict[str, Finding] = {}
    if options.clients.use_bazel and options.selection.wants_stage(bazel.STAGE):
        _tried(launched, "bazel.launched", lambda: demand_wrapper(home.workspace))
    if launched:
        run.step("bazel", "Bazel on this machine", lambda progress: launched)
    elif options.clients.use_bazel and options.selection.wants_stage(bazel.STAGE):
        if options.deep and cache is not None:
            yield BazelClient(session, cache).find_program
        else:
            first = replace(bazel.STAGE, probes=bazel.STAGE.probes[:1])
            named = options.clients.bazel
            work = home.work / "bazel"
            subject = bazel.BazelSubject(named, home.workspace, work, (), work, environ=context.environ)
            run.begin(first, subject)
            yield partial(run.stage, first, subject)
    if options.clients.use_nix and substituter is not None and options.selection.wants("nix"):
        client = NixClient(session, substituter)
        if substituter.endpoint.tls:  # who vouches for a certificate, the handshake tells first
            yield client.find_program
        else:
            asked = client.subject()
            run.begin(nix.STAGE, asked)
            yield partial(run.stage, nix.STAGE, asked)


def _rc_flags(home: Home, context: Context, run: Run) -> None:
    """Ask the Bazel that was found, if one was, for the flags of the workspace's rc files."""
    program = run.findings.get("bazel.program")
    if program is None or program.status is not Status.OK or home.workspace is None:
        return
    from gfattach.bazel.program.binary import Bazel
    from gfattach.doctor.rc_flags import rc_flags

    deadline = run.deadline or Deadline.after(SECONDS)
    bazel, where, work = Bazel.from_json(program.data), home.workspace, home.work / "bazel"
    run.step(
        "rc flags",
        "ask Bazel for the flags of the rc files",
        lambda progress: rc_flags(bazel, where, context.environ, work, deadline),
    )


def _targets(record: Attachment | None, site: Site | None) -> tuple[Any, Any]:
    """The Bazel cache and the Nix cache that are attached, or would be dialled directly."""
    if record is not None:
        return record.cache, record.substituter
    return (None, None) if site is None else (site.cache_target(), site.substituter_target())
