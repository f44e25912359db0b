"""The environment of what is attached: what `gfattach env`, `exec` and `contract` go by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from gfattach.attach.model import record as records
from gfattach.attach.model.record import Attachment
from gfattach.attach.route import ownership as listeners
from gfattach.contract.environment import Assign, Exports, attached, change, detached
from gfattach.contract.hazards.environment import environment_hazards
from gfattach.contract.hazards.workspace import workspace_hazards
from gfattach.contract.localfile import local_values
from gfattach.contract.localfile import write_local_file as write_file
from gfattach.contract.model.manifest import read_manifest
from gfattach.contract.substrate import Verdict, classify
from gfattach.core.context import Context
from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.core.finding import Finding
from gfattach.site.load import load_site


class Shell(Struct, frozen=True):
    """A shell before and after: `changes` turn one into the other."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    attachment: Attachment | None

    @property
    def changes(self) -> tuple[Assign, ...]:
        """What the shell has to do."""
        return change(self.before, self.after)


def shell(workspace: Path | None, context: Context, *, literal: bool = False) -> Shell:
    """The environment of the workspace's attachment, laid over that of the command.

    With nothing attached it is what takes an earlier attachment back. An agent that has ended is started
    again. `literal` puts the settings of the Nix fragment into NIX_CONFIG instead of its include; none while
    the fragment is emptied. Raises StorageError, and AgentError where a listener of the attachment is not
    this user's.
    """
    before = context.environ
    record = records.load(context.home(workspace))
    if record is not None and record.agent is not None:
        from gfattach.attach.route.agents import keep_watched

        keep_watched(record)
    if record is not None:
        listeners.demand(record)
    after = detached(before) if record is None else attached(before, exports(record, literal=literal))
    return Shell(before, after, record)


def exports(record: Attachment, *, literal: bool = False) -> Exports:
    """What an attachment has to offer to an environment: of each client, only what is attached.

    Raises StorageError where the Nix fragment is asked for literally and cannot be read.
    """
    return Exports(
        cache=record.cache.endpoint if record.cache is not None and record.bazelrc is not None else None,
        nix_fragment=record.nix_conf,
        nix_lines=nix_lines(record) if literal else None,
    )


def nix_lines(record: Attachment) -> str:
    """The settings of the attachment's Nix fragment, a line each; "" without one, and while it is emptied.

    Raises StorageError.
    """
    content = None if record.nix_conf is None else read_bytes(record.nix_conf)
    lines = (content or b"").decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.startswith("#"))


def write_local_file(workspace: Path | None, context: Context, name: Path) -> Path:
    """Write the local environment file of the attached workspace; where it was written.

    Raises UsageError when nothing is attached, RefusedError when git would take the file.
    """
    home = context.home(workspace)
    record = records.load(home)
    if record is None or record.cache is None or record.bazelrc is None:
        raise UsageError(
            "no Bazel cache is attached here, so there is nothing to write",
            "attach first: gfattach up, or gfattach up --trial",
            code="contract.local-file.unattached",
        )
    path = (home.workspace or context.cwd) / name
    write_file(path, local_values(record.cache.endpoint))
    return path


class Judgement(Struct, frozen=True):
    """What the contract says of an environment, and what else somebody should know of it."""

    verdict: Verdict
    hazards: tuple[Finding, ...]


def judge(workspace: Path | None, context: Context, *, strict: bool) -> Judgement:
    """What the contract says of this process's environment in the workspace. Raises UsageError."""
    home = context.home(workspace)
    manifest = None if home.workspace is None else read_manifest(home.workspace)
    # The site of the files alone: the environment is what is judged here.
    site = load_site({}, {}, home.workspace, look_only=True)
    verdict = classify(context.environ, manifest=manifest, strict=strict, may_upload=site.may_upload)
    hazards = (*environment_hazards(context.environ, manifest), *workspace_hazards(home, context.environ))
    return Judgement(verdict, hazards)
