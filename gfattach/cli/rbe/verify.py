"""`gfattach rbe verify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gfattach.cli.execute import Outcome, execute, result_options
from gfattach.cli.rbe.options import manifest_option
from gfattach.core.errors import ExitCode

if TYPE_CHECKING:
    from gfattach.core.engine import Run
    from gfattach.rbe.evidence.verify import Verification


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@manifest_option
@click.option("--require-target", metavar="LABEL", help="Accept a proof of this target alone.")
@click.option("--require-image-digest", metavar="SHA256", help="Accept a proof with this worker image alone.")
@click.option("--require-platform", metavar="NAME", help="Accept a proof on this platform alone.")
@click.option("--require-bazel-command", metavar="COMMAND", help="Accept a proof of this command alone.")
@result_options
@click.pass_context
def verify(
    ctx: click.Context,
    path: Path,
    manifest: Path | None,
    require_target: str | None,
    require_image_digest: str | None,
    require_platform: str | None,
    require_bazel_command: str | None,
    verbose: bool,
    output: str,
) -> None:
    """Check evidence offline: PATH is a directory of it, its document, or a proof-result.json.

    Ends with 0 when nothing speaks against it, with 4 when something does, with 2 for what is no evidence.
    Signatures are not checked, and that is said.
    """
    from gfattach.rbe.verify import VerifyOptions
    from gfattach.rbe.verify import verify as verify_path

    options = VerifyOptions(
        path, manifest, require_target, require_image_digest, require_platform, require_bazel_command
    )

    def work(run: Run) -> Outcome:
        return view(verify_path(options, run))

    ctx.exit(execute("rbe verify", output, verbose, work))


def view(verified: Verification) -> Outcome:
    """A verification as an outcome: the verdict, what is proved, and what is not."""
    code = ExitCode.GOOD if verified.proved else ExitCode.UNPROVED
    result = {
        "verdict": "proved" if verified.proved else "refused",
        "codes": [finding.code for finding in verified.findings if finding.failed],
        "evidence": dict(verified.document or {}),
    }
    return Outcome(code, result, [*_lines(verified)])


def _lines(verified: Verification) -> Iterator[str]:
    if not verified.proved:
        count = sum(finding.failed for finding in verified.findings)
        yield f"not proved: {count} things speak against it"
        return
    document = verified.document or {}
    yield f"proved: {verified.findings[0].seen}" if "target" not in document else _proved(verified)
    if document.get("not_proved"):
        yield f"boundary: {document['not_proved']}"


def _proved(verified: Verification) -> str:
    seen = [finding.seen for finding in verified.findings if finding.code == "rbe.proof.executed"]
    return f"proved: {seen[0] if seen else 'nothing speaks against it'}"
