"""`gfattach rbe prove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from gfattach.cli.execute import Outcome, execute, output_options
from gfattach.cli.options import cluster_options
from gfattach.cli.rbe.options import manifest_option
from gfattach.core.quote import word

if TYPE_CHECKING:
    from gfattach.core.engine import Run
    from gfattach.rbe.prove.prove import ProofDone


@click.command()
@click.argument("label")
@click.argument("bazel_arguments", metavar="[-- BAZEL_OPTION...]", nargs=-1, type=click.UNPROCESSED)
@manifest_option
@click.option("--allow-candidate", is_flag=True, help="Prove a target that is a candidate.")
@click.option(
    "--bazel-command",
    type=click.Choice(["build", "test", "coverage"]),
    default="build",
    show_default=True,
    help="What Bazel is to do with the target.",
)
@click.option("--bazel", metavar="PROGRAM", help="The Bazel to use; BAZEL_BIN, bazelisk or bazel without it.")
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the evidence here; the directory has to be empty or new.",
)
@click.option(
    "--execution-log",
    "log_format",
    type=click.Choice(["json", "compact"]),
    default="json",
    show_default=True,
    help="The format of the execution log; compact needs Bazel 7.1.",
)
@click.option(
    "--checkout-authority",
    type=click.Choice(["github-app", "owner-scoped-secret", "repo-scoped-deploy-key", "public", "local"]),
    help="Who allowed the checkout; without it, local on a developer's machine and github-app in a workflow.",
)
@click.option(
    "--private-input",
    "private_inputs",
    metavar="NAME=HOW",
    multiple=True,
    help="A private input of the build, and how it was verified.",
)
@click.option(
    "--nonce-flag",
    "nonce_flags",
    metavar="OPTION",
    multiple=True,
    help="An option of Bazel's that brings {nonce} into the key of actions which take no environment.",
)
@click.option(
    "--executor-service",
    "service",
    metavar="[NAMESPACE/]NAME[:PORT]",
    help="Go to the executor through a forward to this Service, and look at its pods.",
)
@click.option(
    "--worker-selector", "workers", metavar="SELECTOR", help="The worker pods, where the Service has others."
)
@click.option("--ca-file", type=click.Path(path_type=Path), help="The authority of the executor (PEM).")
@click.option(
    "--timeout", "seconds", type=click.FloatRange(min=1), default=3600.0, help="Seconds for all builds."
)
@cluster_options
@output_options
@click.pass_context
def prove(
    ctx: click.Context,
    label: str,
    bazel_arguments: tuple[str, ...],
    manifest: Path | None,
    allow_candidate: bool,
    bazel_command: str,
    bazel: str | None,
    evidence: Path | None,
    log_format: str,
    checkout_authority: str | None,
    private_inputs: tuple[str, ...],
    nonce_flags: tuple[str, ...],
    service: str | None,
    workers: str | None,
    ca_file: Path | None,
    seconds: float,
    site: dict[str, object],
    workspace: Path | None,
    verbose: bool,
    output: str,
) -> None:
    """Force LABEL onto the executor, and prove that it was executed there, now.

    Needs GF_RBE_PROOF_MODE=explicit, GF_BAZEL_SUBSTRATE_MODE=executor-backed, both endpoints, and a target
    that the manifest lists. A nonce is brought into the actions' keys, no cached result is accepted, the
    output base is a fresh one, and nothing falls back to this machine. Two controls follow that have to fail.
    Ends with 4 when anything was left unproved.
    """
    from gfattach.rbe.prove.options import ProveOptions
    from gfattach.rbe.prove.prove import prove_execution

    options = ProveOptions(
        workspace=workspace,
        label=label,
        manifest=manifest,
        command=bazel_command,
        allow_candidate=allow_candidate,
        evidence=None if evidence is None else evidence.absolute(),
        bazel=bazel,
        log_format=log_format,
        authority=checkout_authority,
        private_inputs=[_input(text) for text in private_inputs],
        nonce_flags=nonce_flags,
        bazel_arguments=bazel_arguments,
        service=service,
        workers=workers,
        ca_file=None if ca_file is None else ca_file.absolute(),
        cluster=site,
        seconds=seconds,
    )

    def work(run: Run) -> Outcome:
        return _view(prove_execution(options, ctx.obj, run))

    ctx.exit(execute("rbe prove", output, verbose, work))


def _input(text: str) -> tuple[str, str]:
    name, sign, how = text.partition("=")
    if not (name and sign and how):
        raise click.BadParameter(f"{text!r} is not NAME=HOW", param_hint="--private-input")
    return name, how


def _view(done: ProofDone) -> Outcome:
    from gfattach.cli.rbe.verify import view

    seen = view(done.verification)
    lines = [
        *seen.lines,
        f"evidence: {done.directory}",
        f"check it again: gfattach rbe verify {word(done.directory)}",
    ]
    return replace(seen, result={**seen.result, "directory": str(done.directory)}, lines=lines)
