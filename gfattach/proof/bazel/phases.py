"""Proves a first hit with Bazel: the phases, each a real build against the real endpoint.

`BazelLegs` builds the probe (`gfattach.bazel.probe_workspace`) with a private server: nothing
of the user's is read, kept or touched. `measure_target` builds targets of the user's own
workspace, reading only, with an output base that is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from gfattach.bazel.capabilities.flags import accepted_flags
from gfattach.bazel.messages import error_line
from gfattach.bazel.probe_workspace import LABEL, write_probe
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.rc.grammar import quote
from gfattach.bazel.server.kept import KeptServer
from gfattach.bazel.server.run import Server
from gfattach.contract.bazel.rc import joined_rc
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, RefusedError, UsageError
from gfattach.core.files import make_private_directory, read_bytes, remove, write_atomic
from gfattach.net.refusing import refusing_port
from gfattach.proof.bazel.build import run_build
from gfattach.proof.bazel.evidence import phase_of, without_actions
from gfattach.proof.bazel.no_executor import refuse_executors
from gfattach.proof.bazel.options import Access, ProofOptions, endpoint_options
from gfattach.proof.bazel.own_links import with_remedy
from gfattach.proof.evidence import Phase, PhaseName
from gfattach.reapi.target import CacheTarget

#: What a module-aware Bazel writes into a workspace that it builds in (7.7.1 both, where neither is).
_WRITTEN = ("MODULE.bazel", "MODULE.bazel.lock")


class BazelPhases:
    """The phases of one proof with the probe. Use it in a `with`: it leaves no server behind.

    `work` is a directory for servers and output bases, without white space in its path (older
    Bazels refuse that); `nonce` makes actions that nobody has asked for yet, and without it
    they are the same on every machine; `flag_cache` is a file in which the flags that this
    Bazel knows are kept. `fragment` is the rc file that builds will have: the phases have its
    lines too, so that what this Bazel cannot do shows here. `kept` is a server that runs already and goes
    on: the first build with it is the cold one, and its start is in the phase's record.
    """

    def __init__(
        self,
        bazel: Bazel,
        target: CacheTarget,
        work: Path,
        *,
        nonce: str = "",
        flag_cache: Path | None = None,
        fragment: Path | None = None,
        kept: KeptServer | None = None,
    ) -> None:
        self._bazel = bazel
        self._kept = kept
        self._target = target
        self._work = work
        self._flag_cache = flag_cache
        self._endpoint = endpoint_options(target, bazel)
        self._probe = write_probe(work / "probe", nonce)
        lines = _lines_without_helper(fragment)
        self._rc: tuple[Path, ...] = ()
        if kept is not None:
            self._server = kept.of(bazel)
            kept.tell(header_lines(target) + lines)
        else:
            self._rc = write_header_rc(target, work, text=lines)
            self._server = Server(bazel, self._probe.directory, work, "proof", rc=self._rc)
        self._options: ProofOptions | None = None

    def __enter__(self) -> BazelPhases:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept is not None:
            self._kept.tell("")
            return
        self._server.forget()
        for file in self._rc:
            remove(file)

    def fill(self, deadline: Deadline) -> Phase:
        """Build the probe and store it, with the server that runs, if one does.

        Raises RefusedError where nothing may be stored, and BazelError.
        """
        if not self._target.may_write:
            raise RefusedError(
                f"nothing may be stored in {self._target.endpoint.url} from here",
                "the probe is stored by a lane that may write: gfattach site warm --upload",
            )
        return self._phase(PhaseName.FILL, Access.WRITE, deadline, warm=True)

    def hit(self, deadline: Deadline, *, warm: bool = False) -> Phase:
        """Build the probe with nothing kept from before, and store nothing.

        `warm` keeps the server that an earlier phase started, and has it forget what it built.
        Raises BazelError.
        """
        return self._phase(PhaseName.HIT, Access.READ, deadline, warm=warm)

    def control(self, deadline: Deadline) -> Phase:
        """Build the probe with the endpoint withheld: what was a hit has to be built here.

        The endpoint is replaced by a loopback port that refuses. Bazels that do not build
        without the cache that they were told of (2, and 8.0 to 8.5) are told of none then.
        Raises BazelError.
        """
        with refusing_port() as port:
            refused = f"grpc://127.0.0.1:{port}"
            phase = self._phase(PhaseName.CONTROL, Access.WITHHELD, deadline, warm=True, instead=refused)
        if phase.detail["exit_code"] != 0:
            phase = self._phase(PhaseName.CONTROL, Access.WITHHELD, deadline, warm=True, instead="")
        return phase

    def _phase(
        self, name: PhaseName, access: Access, deadline: Deadline, *, warm: bool, instead: str | None = None
    ) -> Phase:
        options = self._proof_options(deadline)
        if warm:
            if self._server.has_built:
                self._clean(deadline)
        elif self._kept is None or self._server.has_built:
            self._server.forget()
        # The fragment among the rc files may lead to the cache by its socket, whatever the endpoint.
        where = self._endpoint if instead is None else [f"--remote_cache={instead}", "--remote_proxy="]
        detail: dict[str, Any] = {"nonce": bool(self._probe.nonce)}
        if self._kept is not None and self._kept.start_seconds is not None:
            detail["server_start_seconds"] = round(self._kept.start_seconds, 4)
        if instead is not None:
            detail["withheld"] = "a port that refuses" if instead else "no endpoint"
        build = run_build(
            self._server,
            options,
            name,
            access,
            [*options.probe(), *where],
            [LABEL],
            self._work / "phase",
            deadline,
            log_expected=self._target.endpoint.grpc,
            detail=detail,
        )
        return phase_of(build, novel=bool(self._probe.nonce) and name is PhaseName.FILL)

    def _clean(self, deadline: Deadline) -> None:
        answer = self._server.run("clean", [], deadline)
        if not answer.good:
            said = error_line(answer.stderr) or answer.last_words()
            raise BazelError("bazel clean failed in the probe's workspace", f"it said: {said}")

    def _proof_options(self, deadline: Deadline) -> ProofOptions:
        if self._options is None:
            accepted = accepted_flags(
                self._bazel,
                ProofOptions.candidates(),
                work=self._work,
                cache=self._flag_cache,
                deadline=deadline,
                server=self._server,
            )
            self._options = ProofOptions(accepted)
        return self._options


def measure_target(
    bazel: Bazel,
    workspace: Path,
    labels: Sequence[str],
    rc: Sequence[Path],
    target: CacheTarget,
    *,
    work: Path,
    deadline: Deadline,
    flags: Sequence[str] = (),
    flag_cache: Path | None = None,
    environ: Mapping[str, str],
    header_rc: str = "",
) -> Phase:
    """Build `labels` of `workspace` as its user would, and measure what `target` serves of them.

    The user's rc files, `rc` on top of them, and `environ` are honoured: they are part of the
    keys. Nothing is stored, neither in the cache nor in the workspace, and the output base is
    thrown away, so everything has to be hit or built. `flags` stand before all that a proof needs,
    `header_rc` is the text of a private rc file; `environ`, which a Bazel writes into a log, holds no
    secret. Raises RefusedError when the effective options hold an executor, UsageError for no labels,
    and BazelError.
    """
    if not labels:
        raise UsageError("no target was named", "name one: gfattach prove --target //some:target")
    where = endpoint_options(target, bazel)
    kept = {workspace / name: read_bytes(workspace / name) for name in _WRITTEN}
    private = write_header_rc(target, work, rc, header_rc)
    rc = private or rc
    with Server(bazel, workspace, work, "target", environ=environ, rc=rc) as server:
        try:
            accepted = accepted_flags(
                bazel,
                ProofOptions.candidates(),
                work=work,
                cache=flag_cache,
                deadline=deadline,
            )
            options = ProofOptions(accepted)
            refuse_executors(server, work / "phase", deadline, environ=environ, rc=rc, accepted=accepted)
            build = run_build(
                server,
                options,
                PhaseName.HIT,
                Access.READ,
                [*flags, *where],
                labels,
                work / "phase",
                deadline,
                log_expected=target.endpoint.grpc,
                own_targets=True,
                detail={"targets": list(labels)},
            )
        finally:
            for path, content in kept.items():
                _put_back(path, content)
            for file in private:
                remove(file)
    return with_remedy(without_actions(build, phase_of(build)), workspace, labels)


def write_header_rc(
    target: CacheTarget, work: Path, rc: Sequence[Path] = (), text: str = ""
) -> tuple[Path, ...]:
    """An rc file (0600, below `work`) with the target's headers and `text`, if any: they are never arguments.

    It imports `rc`: an older Bazel reads one `--bazelrc` alone. Every Bazel knows the flag, while a helper
    would need the home that a proof's Bazel has not. Raises StorageError, and UsageError for a header
    that no rc file can hold.
    """
    if not target.headers and not text:
        return ()
    file = make_private_directory(work) / "headers.bazelrc"
    write_atomic(file, joined_rc(rc, header_lines(target) + text).encode())
    return (file,)


def header_lines(target: CacheTarget) -> str:
    """The lines of an rc file that have every call carry the target's headers."""
    return "".join(
        f"build {quote(f'--remote_cache_header={name}={value}')}\n" for name, value in target.headers
    )


def _lines_without_helper(fragment: Path | None) -> str:
    """The text of `fragment`; a helper for credentials would need the home that a proof's Bazel has not."""
    if fragment is None:
        return ""
    lines = fragment.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if "credential_helper=" not in line)


def _put_back(path: Path, content: bytes | None) -> None:
    """Leave `path` as it was."""
    if read_bytes(path) == content:
        return
    if content is None:
        remove(path)
    else:
        write_atomic(path, content, mode=path.stat().st_mode & 0o777)
