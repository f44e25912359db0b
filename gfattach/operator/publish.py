"""`site lint` and `site publish`: an operator's file, checked, and made into the cluster's ConfigMap."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.contract.environment import detached
from gfattach.core import git
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Progress, Run
from gfattach.core.errors import ExitCode, UsageError
from gfattach.core.files import read_bytes
from gfattach.core.finding import Finding, ok
from gfattach.core.quote import command, word
from gfattach.site.allow import FILE_NAME, said_by
from gfattach.site.authority import demand_authority
from gfattach.site.document import raw_values, read_tables
from gfattach.site.lint import lint
from gfattach.site.load import load_site, read_alone
from gfattach.site.profile import render_profile, with_inline_authorities
from gfattach.site.site import Site

#: Seconds that publishing may take, the cluster's credentials included.
PUBLISH_SECONDS = 30.0


class Linted(Struct, frozen=True):
    """What a check found: all that is wrong or warned of, in the order of lines."""

    file: Path
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> int:
        """How many findings are no mere warnings."""
        return sum(finding.failed for finding in self.findings)

    @property
    def exit_code(self) -> ExitCode:
        """2 when anything is wrong; a warning is good."""
        return ExitCode.USAGE if self.faults else ExitCode.GOOD

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {
            "file": str(self.file),
            "faults": self.faults,
            "findings": [
                {
                    "code": found.code,
                    "status": found.status.value,
                    "line": found.data["line"],
                    "key": found.data["key"],
                    "seen": found.seen,
                    "hints": list(found.hints),
                }
                for found in self.findings
            ],
        }


class PublishOptions(Struct, frozen=True):
    """One `gfattach site publish`. `file` None stands for the workspace's; `dry_run` asks no cluster."""

    workspace: Path | None
    file: Path | None
    site: Mapping[str, Any]
    dry_run: bool


class Published(Struct, frozen=True):
    """The ConfigMap, where it was written (None: nowhere, by --dry-run), and how to take it back."""

    manifest: Mapping[str, Any]
    server: str | None
    undo: str

    @property
    def name(self) -> str:
        """`namespace/name` of the ConfigMap."""
        metadata = self.manifest["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {"published": self.server is not None, "manifest": self.manifest, "undo": self.undo}


def lint_site(workspace: Path | None, file: Path | None, context: Context, run: Run) -> Linted:
    """Check `file`, or the workspace's. Raises UsageError when it is not there."""
    path = _path(workspace, file, context)
    tracked = git.ask(context.cwd / path).standing is git.Standing.TRACKED
    return _lint(path, _content(path), run, tracked=tracked)


def publish_site(options: PublishOptions, context: Context, run: Run) -> Published:
    """Write what the file says of the site into its ConfigMap.

    Raises UsageError for a file with a fault, RefusedError where it trusts a store that is there for the time
    being, and ClusterError where the cluster cannot be reached or
    refuses; nothing was written then.
    """
    path = _path(options.workspace, options.file, context)
    content = _content(path)
    # An operator's own repository may track what the operator publishes: that is `lint_site`'s matter.
    linted = _lint(path, content, run, tracked=False)
    if linted.faults:
        faults = "1 fault" if linted.faults == 1 else f"{linted.faults} faults"
        raise UsageError(
            f"{path} has {faults}, and nothing was published",
            f"see them: gfattach site lint {word(path)}",
            code="site.publish.faults",
        )
    values = raw_values(read_tables(content, str(path)), str(path))
    where = _where(options, values, path, context)
    site = with_inline_authorities(read_alone(values, str(path)))
    demand_authority(site)
    namespace, name = where.get("cluster.namespace"), where.get("cluster.profile")
    manifest = render_profile(site, namespace=namespace, name=name)
    undo = _undo(where, namespace, name)
    if options.dry_run:
        return Published(manifest, None, undo)

    def write(progress: Progress) -> tuple[str, Mapping[str, Finding]]:
        server = _apply(where, manifest)
        return server, {"publish": ok("site.published", f"the ConfigMap {namespace}/{name} on {server}")}

    server, _ = run.obtain("publish", f"write the ConfigMap {namespace}/{name}", write)
    return Published(manifest, server, undo)


def _path(workspace: Path | None, file: Path | None, context: Context) -> Path:
    if file is not None:
        return file
    return (context.home(workspace).workspace or context.cwd) / FILE_NAME


def _content(path: Path) -> bytes:
    content = read_bytes(path)
    if content is None:
        raise UsageError(
            f"there is no file {path}", "see what it holds: gfattach help site", code="site.file"
        )
    return content


def _lint(path: Path, content: bytes, run: Run, *, tracked: bool) -> Linted:
    found = lint(content, str(path), tracked=tracked)

    def show(progress: object) -> Mapping[str, Finding]:
        if not found:
            return {"lint": ok("site.lint.good", f"{path} has no fault"), **_needs_allowing(path, content)}
        return {f"lint.{number}": finding for number, finding in enumerate(found, 1)}

    run.step("lint", f"check {path}", show)
    return Linted(path, found)


def _needs_allowing(path: Path, content: bytes) -> dict[str, Finding]:
    """What a user who gets the file with a workspace is asked to allow."""
    said = said_by(raw_values(read_tables(content, str(path)), str(path)))
    if not said:
        return {}
    seen = f"who gets {path} with a workspace allows once what it says: {' · '.join(said)}"
    return {"allow": ok("site.lint.allow", seen)}


def _where(options: PublishOptions, values: Mapping[str, Any], path: Path, context: Context) -> Site:
    """The cluster to publish to: the file's own word goes before all but options."""
    said = {key: value for key, value in options.site.items() if value is not None}
    own = {key: value for key, value in values.items() if key.startswith("cluster.")}
    read_alone(own, str(path))  # so that a fault is the file's, and not an option's
    home = context.home(options.workspace)
    return load_site({**own, **said}, detached(context.environ), home.workspace)


def _apply(where: Site, manifest: Mapping[str, Any]) -> str:
    """Write the ConfigMap; the server that took it."""
    from gfattach.cluster.api.client import Api, ApiError, path_of
    from gfattach.cluster.kubeconfig.resolve import resolve
    from gfattach.probes.cluster.rights import publishing_refused

    deadline = Deadline.after(PUBLISH_SECONDS)
    connection = resolve(where.cluster, deadline)
    metadata = manifest["metadata"]
    path = path_of(metadata["namespace"], "configmaps", metadata["name"])
    api = Api(connection)
    try:
        api.apply_now(path, manifest, deadline)
    except ApiError as error:
        if error.status != 403:
            raise
        raise publishing_refused(api, metadata["namespace"], error, deadline) from error
    return connection.server


def _undo(where: Site, namespace: str, name: str) -> str:
    words = ["kubectl"]
    for option, key in (("--kubeconfig", "cluster.kubeconfig"), ("--context", "cluster.context")):
        if where.get(key) is not None:
            words += [option, str(where.get(key))]
    return command(*words, "-n", namespace, "delete", "configmap", name)


def as_yaml(manifest: Mapping[str, Any]) -> str:
    """The manifest for `kubectl apply -f -`, texts of several lines as they are read."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes texts of several lines as blocks."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    shown: str = yaml.dump(dict(manifest), Dumper=Dumper, sort_keys=False, allow_unicode=True)
    return shown
