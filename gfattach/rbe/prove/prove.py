"""`gfattach rbe prove`: force one execution, look at it from every side, and write the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.bazel.program.binary import Bazel
from gfattach.contract.bazel.arguments import header_rc
from gfattach.contract.bazel.rc import joined_rc
from gfattach.contract.environment import WITHHELD, detached
from gfattach.contract.model.variables import BY_NAME, lines_of, value_of
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.errors import UnprovedError, UsageError
from gfattach.core.files import make_private_directory, read_bytes, remove_tree, write_atomic, write_json
from gfattach.core.finding import Finding, Status, ok
from gfattach.core.paths import Home
from gfattach.probes.execution import stage as execution_probes
from gfattach.proof.bazel.options import endpoint_options
from gfattach.proof.execution.nonce import make_nonce
from gfattach.rbe.evidence import document as documents
from gfattach.rbe.evidence.store import evidence_home
from gfattach.rbe.evidence.verify import Verification, verify_evidence
from gfattach.rbe.evidence.write import new_directory, write_document
from gfattach.rbe.manifest.read import find_manifest, load_manifest
from gfattach.rbe.prove.build import Builder, Built
from gfattach.rbe.prove.controls import make_controls
from gfattach.rbe.prove.evidence import Proved, document_of
from gfattach.rbe.prove.gate import demand_eligible, demand_explicit
from gfattach.rbe.prove.options import BuildOptions, ProveOptions
from gfattach.rbe.prove.pods import Workers
from gfattach.rbe.prove.preflight import build_options
from gfattach.rbe.prove.provenance import Run as RunOf
from gfattach.rbe.prove.provenance import repository_of, run_of
from gfattach.rbe.prove.route import Executor, reached
from gfattach.rbe.target import find_bazel
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.site.authority import demand_authority
from gfattach.site.load import load_site

_PLATFORM = "GF_BAZEL_REMOTE_EXECUTION_PLATFORM"
_IMAGE = "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST"


class ProofDone(Struct, frozen=True):
    """What a proof came to: where its evidence is, and what verifying it came to."""

    directory: Path
    verification: Verification


def prove_execution(options: ProveOptions, context: Context, run: Run) -> ProofDone:
    """Prove one target. Raises RefusedError where the environment, the manifest or the class forbids it,
    UnprovedError when the executor does not pass its probes, ClusterError, BazelError, ProgramMissingError,
    UsageError and StorageError.
    """
    home, environ = context.home(options.workspace), context.environ
    demand_explicit(environ)
    if home.workspace is None:
        raise UsageError("this is no workspace, so it has no target", "name one: --workspace DIR")
    # Judged, and not gone by: what a workspace's file refuses counts before anybody has allowed it.
    demand_authority(load_site({}, detached(environ), home.workspace, look_only=True))
    manifest = load_manifest(find_manifest(options.manifest, home.workspace))
    found = demand_eligible(manifest, options.label, allow_candidate=options.allow_candidate)
    bazel = find_bazel(options.bazel, home.workspace, environ)
    run.account("start", "start, and judge what is asked for")
    work = home.work.with_name(f"{home.work.name}-rbe")
    record = evidence_home(home) / "forward.json"
    try:
        target = _target(options, environ)
        with reached(target, options.service, options.cluster, options.workers, record, environ) as executor:
            run.account("route", "reach the executor")
            _ask(executor, run)
            session = _Session(options, home, work, bazel, executor, environ, run)
            return session.prove(manifest, found)
    finally:
        remove_tree(work)


def _target(options: ProveOptions, environ: Mapping[str, str]) -> CacheTarget:
    """The executor that the environment names."""
    endpoint = parse_endpoint(value_of(environ, "BAZEL_REMOTE_EXECUTOR"))
    headers = []
    for variable in ("BAZEL_REMOTE_HEADER", "BAZEL_REMOTE_EXEC_HEADER"):
        headers += [line.partition("=")[::2] for line in lines_of(environ, variable)]
    return CacheTarget(
        endpoint,
        instance_name=value_of(environ, "BAZEL_REMOTE_INSTANCE_NAME"),
        tls=TlsFiles(options.ca_file),
        headers=tuple((name, value) for name, value in headers),
    )


def _ask(executor: Executor, run: Run) -> None:
    if run.stage(execution_probes.STAGE, executor.target).status is Status.FAIL:
        raise UnprovedError(
            "the executor did not pass its probes; nothing was built",
            "see what speaks against it above",
            code="rbe.prove.executor-probes",
        )


class _Session(Struct, frozen=True):
    options: ProveOptions
    home: Home
    work: Path
    bazel: Bazel
    executor: Executor
    environ: Mapping[str, str]
    run: Run

    def prove(self, manifest: Any, found: Any) -> ProofDone:
        started = datetime.now(UTC)
        run_id = run_of(self.environ)
        nonce = str(make_nonce(started, run_id.id, run_id.attempt))
        make_private_directory(self.work)
        deadline = Deadline.after(self.options.seconds)
        chosen = self._build_options(manifest.platform, deadline)
        with new_directory(self.options.evidence or evidence_home(self.home) / nonce) as directory:
            builder = self._builder(directory, chosen, deadline)
            proved = self._proved(builder, manifest, found, started, run_id, nonce)
            document = document_of(proved)
            path = write_document(directory, document)
        done = self._verified(path)
        if not done.verification.proved:  # what could be signed may not say that it passed
            write_document(directory, document, proved=False)
        return done

    def _proved(
        self, builder: Builder, manifest: Any, found: Any, started: datetime, run_id: RunOf, nonce: str
    ) -> Proved:
        """Build, and build the controls; all that came of it."""
        before = self._look()
        built = self._build(builder, nonce)
        pods = None if before is None else {"before": before, "after": self._look() or []}
        controls = make_controls(builder, nonce, self.run) if built.exit_code == 0 else []
        repository, place = repository_of(builder.workspace, self.environ)
        return Proved(
            options=self.options,
            manifest=manifest,
            found=found,
            run=run_id,
            repository=repository,
            workspace_path=place,
            nonce=nonce,
            started=started,
            ended=datetime.now(UTC),
            executor=self.executor.url,
            cache=self._cache_url(),
            through=self.executor.through,
            bazel=self.bazel.version,
            built=built,
            controls=controls,
            pods=pods,
            expected_image=value_of(self.environ, _IMAGE) or None,
            files=self._files(builder.directory, manifest.path, pods),
        )

    def _cache_url(self) -> str:
        """Where the cache is: behind the executor's own address where both are one, else as it is named."""
        named = value_of(self.environ, "BAZEL_REMOTE_EXECUTOR_CACHE") or value_of(
            self.environ, "BAZEL_REMOTE_CACHE"
        )
        return self.executor.url if named == value_of(self.environ, "BAZEL_REMOTE_EXECUTOR") else named

    def _build_options(self, platform: str, deadline: Deadline) -> BuildOptions:
        endpoint = [
            f"--remote_cache={self._cache_url()}",
            *(
                option
                for option in endpoint_options(self.executor.target, self.bazel)
                if not option.startswith("--remote_cache=")
            ),
        ]
        named = value_of(self.environ, _PLATFORM) or platform or BY_NAME[_PLATFORM].default
        return build_options(self.options, self.bazel, endpoint, named, self.work, deadline)

    def _builder(self, directory: Path, chosen: BuildOptions, deadline: Deadline) -> Builder:
        assert self.home.workspace is not None
        return Builder(
            self.bazel,
            self.home.workspace,
            self.work,
            {name: value for name, value in self.environ.items() if name not in WITHHELD},
            self._header_rc(),
            chosen,
            self.options.command,
            self.options.label,
            directory,
            self.executor.url,
            deadline,
        )

    def _header_rc(self) -> tuple[Path, ...]:
        """A private rc with the headers of the environment, which never are arguments."""
        text = header_rc(self.environ)
        if not text:
            return ()
        file = self.work / "headers.bazelrc"
        write_atomic(file, joined_rc((), text).encode())
        return (file,)

    def _look(self) -> list[dict[str, Any]] | None:
        workers: Workers | None = self.executor.workers
        if workers is None:
            return None
        found: list[list[dict[str, Any]]] = []

        def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
            found.append(workers.look())
            names = ", ".join(str(pod["name"]) for pod in found[0])
            return {"rbe.workers": ok("rbe.workers.seen", f"{len(found[0])} worker pods: {names}")}

        self.run.step("rbe-workers", "look at the worker pods", work)
        return found[0]

    def _build(self, builder: Builder, nonce: str) -> Built:
        found: list[Built] = []

        def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
            progress(f"building {self.options.label} with the nonce {nonce}")
            found.append(builder.build("", nonce, progress))
            summary, complaint = found[0].facts.summary, found[0].complaint
            said = "no processes were counted" if summary is None else summary.text
            said += f" ({complaint})" if complaint else ""
            return {"rbe.build": ok("rbe.build.ended", f"ended with {found[0].exit_code}: {said}")}

        self.run.step("rbe-build", "force the execution", work)
        return found[0]

    def _files(
        self, directory: Path, manifest: Path, pods: Mapping[str, list[dict[str, Any]]] | None
    ) -> dict[str, Path]:
        kept = {documents.MANIFEST: directory / "manifest.json"}
        write_atomic(kept[documents.MANIFEST], read_bytes(manifest) or b"")
        if pods is not None:
            kept[documents.WORKERS] = directory / "workers.json"
            write_json(kept[documents.WORKERS], pods)
        return kept

    def _verified(self, path: Path) -> ProofDone:
        verified: list[Verification] = []

        def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
            verified.append(verify_evidence(path))
            return verified[0].named()

        self.run.step("verify", "verify the evidence", work)
        return ProofDone(path.parent, verified[0])
