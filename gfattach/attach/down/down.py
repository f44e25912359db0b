"""`down`: undo what `up` did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.attach.bazel import headers
from gfattach.attach.down import earlier
from gfattach.attach.down.undo import Undoing, undo
from gfattach.attach.route.agents import Hung
from gfattach.core.context import Context
from gfattach.core.engine import Progress, Run
from gfattach.core.files import locked, make_private_directory
from gfattach.core.finding import Finding, ok, warn
from gfattach.core.paths import Home, state_directory
from gfattach.core.trust import allowed, secret
from gfattach.undo.journal import Undone


class Detached(Struct, frozen=True):
    """What `down` came to; `undoing` is None when there was nothing at all.

    Two files stay: `allowed`, of what the user has allowed of the workspace, and `secret`, from which ports
    follow.
    """

    home: Home
    undoing: Undoing | None
    allowed: Path | None = None
    secret: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        kept = [str(path) for path in (self.allowed, self.secret) if path is not None]
        if self.undoing is None:
            return {"detached": False, "files": [], "left": [], "kept": kept, "hung": None}
        files = [
            {"path": str(item.path), "result": item.result.value, "seen": item.seen}
            for item in self.undoing.files
        ]
        hung = None if self.undoing.hung is None else self.undoing.hung.as_json()
        return {
            "detached": True,
            "files": files,
            "left": [str(path) for path in self.undoing.left],
            "kept": kept,
            "hung": hung,
        }


def detach(workspace: Path | None, context: Context, run: Run) -> Detached:
    """Undo the attachment of the workspace. Twice is fine. Raises StorageError."""
    home, state = context.home(workspace), state_directory()
    stays = (
        None if home.workspace is None else allowed.kept(state, home.workspace),
        secret.kept(state),
    )
    run.account("start", "start, and find what is attached")
    earlier.undo_earlier(home, run)
    if not (home.directory.exists() or home.state.exists()):
        headers.sweep(context.environ)  # a Bazel is given headers where nothing is attached too
        return Detached(home, None, *stays)

    def work(progress: Progress) -> tuple[Undoing, Mapping[str, Finding]]:
        make_private_directory(home.state)
        with locked(home.lock):
            undoing = undo(home, context.environ)
        return undoing, _findings(undoing)

    return Detached(home, run.obtain("undo", "undo what up did", work)[0], *stays)


#: What somebody should look at after an undo.
_DOUBTFUL = (Undone.BLOCK_REMOVED, Undone.LEFT, Undone.FAILED)


def _findings(undoing: Undoing) -> dict[str, Finding]:
    findings: dict[str, Finding] = {}
    if undoing.trial_stopped:
        findings["trial"] = ok("trial.stopped", "the embedded caches have ended")
    if undoing.released:
        findings["agent"] = ok("agent.released", "the agent holds nothing for this workspace any more")
    for number, item in enumerate(undoing.files):
        name = f"undo.{number}"
        if item.result in _DOUBTFUL:
            kept = (f"the original is kept: {item.original}",) if item.original else ()
            why = "the file is not byte for byte what it was before the attachment"
            findings[name] = warn(f"undo.{item.result.value}", item.seen, why, *kept)
        else:
            findings[name] = ok(f"undo.{item.result.value}", item.seen)
    if undoing.hung is None:
        findings["undo"] = ok("undo.done", "nothing of the attachment is left")
    else:
        findings["agent"] = _left_running(undoing.hung)
        findings["undo"] = ok("undo.done", "nothing of the attachment is left but that process")
    return findings


def _left_running(hung: Hung) -> Finding:
    pid = hung.pid
    again = "; then, there: gfattach up" if hung.others else ""
    return warn(
        "agent.left",
        f"the agent, process {pid}, does not answer and was left"
        + (
            f" to the attachments in {' and '.join(map(str, hung.others))}"
            if hung.others
            else ": it does not end"
        ),
        "until it ends or goes on, the ports of this workspace's forwards stay taken, and lead nowhere",
        f"see how it is: ps -o pid,stat,wchan:20,cmd -p {pid}",
        f"if it is stopped, let it go on, and it gives them up: kill -CONT {pid}",
        f"or end it: kill -KILL {pid}{again}",
    )
