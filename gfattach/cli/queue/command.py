"""`gfattach queue`: options into one object, the work, and what came of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.sections import SectionedCommand, option
from gfattach.core.errors import UsageError

if TYPE_CHECKING:
    from gfattach.core.context import Context
    from gfattach.core.engine import Run
    from gfattach.queue.run import OwnersOptions, QueueOptions

#: The file that `--owners` without one stands for: none.
_RUNNING = ""


@click.command(cls=SectionedCommand)
@click.argument("label", required=False, default="")
@option(
    "Question",
    "--repo",
    metavar="OWNER/NAME",
    help="For a job of this repository: its owner's runners alone.",
)
@option(
    "Question",
    "--run",
    "run_id",
    type=click.IntRange(1),
    metavar="ID",
    help="The workflow run, as in its address.",
)
@option(
    "Question", "--queued-since", metavar="TIME", help="Since when the job waits, as in 2026-01-31T14:05:00Z."
)
@option(
    "Question", "--watch", is_flag=True, help="Look again and again, and say what changes, until interrupted."
)
@option(
    "Question",
    "--every",
    type=click.FloatRange(1, 3600),
    default=10.0,
    show_default=True,
    help="Seconds between two looks.",
)
@option(
    "Other questions",
    "--audit",
    "audit_",
    is_flag=True,
    help="What is amiss in scale sets, listeners and runners.",
)
@option(
    "Other questions",
    "--owners",
    "owners_file",
    is_flag=False,
    flag_value=_RUNNING,
    metavar="[FILE]",
    help="Which of FILE's repositories can get a runner; without it, of those whose jobs run.",
)
@option(
    "Other questions",
    "--stale-after",
    type=click.FloatRange(0, 3650),
    default=14.0,
    show_default=True,
    help="Days, of --owners.",
)
@option(
    "Other questions",
    "--rbac",
    is_flag=True,
    help="Print the rights that this needs, for kubectl apply -f -.",
)
@option(
    "Cluster",
    "--runner-namespace",
    multiple=True,
    metavar="NAME",
    help="Look for runners in this namespace alone; repeatable.",
)
@option(
    "Cluster",
    "--controller-namespace",
    multiple=True,
    metavar="NAME",
    help="Where ARC's controller is; repeatable.",
)
@option(
    "Question",
    "--no-second-look",
    is_flag=True,
    help="Do not wait to see whether a new listener's pod stays.",
)
@option(
    "Output",
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page to this file.",
)
@option("Output", "--markdown", is_flag=True, help="Show the result as Markdown.")
@option(
    "Cluster", "--kubeconfig", metavar="FILE", help="The kubeconfig; without it, what kubectl would take."
)
@option("Cluster", "--context", metavar="NAME", help="The context in it; without it, the current one.")
@output_options
@click.pass_context
def queue(ctx: click.Context, /, **said: Any) -> None:
    """Why is a CI job queued? What the cluster shows of LABEL's runners, read-only.

    Without LABEL every label that is served, or those for --repo. Only get and list are asked, and never a
    Secret; what may not be read is unknown, and what only GitHub knows is named with the command that asks
    it.

    Ends with 0 for an answer and with 4 where a missing right leaves none. --audit ends with 1 where
    something is amiss. --output json: docs/schema/queue-v1.json.
    """
    _check(said)
    if said["rbac"]:
        _print_rights(said)
        return
    options, output = _options(said, ctx.obj), str(said["output"])
    if said["watch"]:
        _watch(options, said)
        return

    from gfattach.cli.queue.view import Shown, answered, audited, scored
    from gfattach.queue.run import ask, audit_cluster, owners

    shown = Shown(said["html_file"], said["markdown"], output == "github", output not in ("json", "junit"))

    def work(run: Run) -> Outcome:
        if said["audit_"]:
            return audited(*audit_cluster(options, run), shown)
        if said["owners_file"] is not None:
            return scored(*owners(options, _owners(options, said, ctx.obj), run), shown)
        return answered(ask(options, run), options.question, shown)

    ctx.exit(execute("queue", output, said["verbose"], work))


def _check(said: dict[str, Any]) -> None:
    """That no two of what excludes one another were asked for. Raises UsageError."""
    modes = {"--audit": said["audit_"], "--owners": said["owners_file"] is not None, "--rbac": said["rbac"]}
    asked = [name for name, given in modes.items() if given]
    if said["watch"]:
        asked.append("--watch")
    if len(asked) > 1:
        raise UsageError(
            f"{' and '.join(asked)} are two questions", "ask one at a time", code="queue.question"
        )
    if said["label"] and asked and asked[0] != "--watch":
        raise UsageError(f"{asked[0]} is of the whole cluster, and not of a label", code="queue.question")
    if said["run_id"] and not said["repo"]:
        raise UsageError("--run is of a repository", "name it: --repo OWNER/NAME", code="queue.question")
    if said["html_file"] is not None and said["watch"]:
        raise UsageError("--html is of one look, and --watch of many", code="queue.question")


def _options(said: dict[str, Any], context: Context) -> QueueOptions:
    from gfattach.queue.model.question import Question, Scope, repository
    from gfattach.queue.run import QueueOptions
    from gfattach.site.load import load_site

    kubeconfig = said["kubeconfig"]
    named = {
        "cluster.kubeconfig": None if kubeconfig is None else str(Path(kubeconfig).absolute()),
        "cluster.context": said["context"],
    }
    home = context.home(said["workspace"])
    site = load_site(named, context.environ, home.workspace)
    return QueueOptions(
        site.cluster,
        context.environ,
        Question(
            said["label"].strip(),
            repository(said["repo"]) if said["repo"] else "",
            said["run_id"] or 0,
            _moment(said["queued_since"]),
        ),
        Scope(tuple(said["runner_namespace"]), tuple(said["controller_namespace"])),
        0.0 if said["no_second_look"] else 30.0,
    )


def _moment(said: str | None) -> datetime | None:
    if said is None:
        return None
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise UsageError(
            f"{said!r} is no time", "write it as GitHub does: 2026-01-31T14:05:00Z", code="queue.time"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _print_rights(said: dict[str, Any]) -> None:
    from gfattach.queue.roles import manifests

    runners = next(iter(said["runner_namespace"]), "arc-runners")
    controllers = next(iter(said["controller_namespace"]), "arc-systems")
    click.echo(manifests(runners, controllers), nl=False)


def _owners(options: QueueOptions, said: dict[str, Any], context: Context) -> OwnersOptions:
    from gfattach.queue.owners.repositories import Entry, read_entries
    from gfattach.queue.run import OwnersOptions

    if said["owners_file"] != _RUNNING:
        entries = read_entries(Path(said["owners_file"]))
    elif options.question.repository:
        workspace = context.home(said["workspace"]).workspace
        entries = (Entry(options.question.repository, workspace),)
    else:
        entries = ()
    return OwnersOptions(entries, said["stale_after"])


def _watch(options: QueueOptions, said: dict[str, Any]) -> None:
    from gfattach.cli.interrupts import end_as_interrupted
    from gfattach.cli.queue.view import look_document, look_lines
    from gfattach.core.redact import redact
    from gfattach.queue.run import watch

    end_as_interrupted()
    for looked in watch(options, said["every"]):
        as_json = said["output"] == "json"
        lines = [json.dumps(look_document(looked, options.question))] if as_json else look_lines(looked)
        for line in lines:
            click.echo(redact(line) if not as_json else line)
