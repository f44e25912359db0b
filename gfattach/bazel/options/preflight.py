"""What a workspace's rc files amount to, before anything is built or called.

An empty build with `--nobuild` reads every rc file, expands every `--config`, and says in its
event file what came out, nested ones included: 0.2 s on a warm server. The options that would
have it call somebody are overridden, and taken out of the answer again.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

from gfattach.bazel.capabilities.flags import WITHOUT_MODULES
from gfattach.bazel.logs.events import Options, private_files, read_events
from gfattach.bazel.messages import error_line
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError

#: A strategy that only an executor provides is an error as soon as there is none.
_QUIET = (
    "--nobuild",
    "--remote_cache=",
    "--remote_executor=",
    "--bes_backend=",
    "--spawn_strategy=",
    "--nobuild_event_json_file_path_conversion",
)

#: The same, known to some: a downloader without a gRPC cache is an error.
QUIET_WHERE_KNOWN = ("--experimental_remote_downloader=", "--remote_downloader=")


def effective_options(
    server: Server,
    work: Path,
    deadline: Deadline,
    *,
    accepted: Container[str] = (),
    seen: Callable[[list[str]], tuple[Path, list[str]] | None] = lambda words: None,
) -> Options:
    """The options that `bazel build` has in the workspace of `server`, rc files and configs expanded.

    `accepted` are those of `QUIET_WHERE_KNOWN` and `WITHOUT_MODULES` that this Bazel knows; `seen` tells
    what a wrapper makes of the words that Bazel is given, and which Bazel it gives them to, where that can
    be told.
    Raises BazelError (`bazel.rc`) when Bazel does not take them, and StorageError.
    """
    with private_files(work, "preflight.json") as (file,):
        # Which modules there are changes nothing of it, and asking a registry for them may be in vain.
        known = [option for option in (*QUIET_WHERE_KNOWN, *WITHOUT_MODULES) if option in accepted]
        overrides = [*_QUIET, *known, f"--build_event_json_file={file}"]
        through = seen(server.words("build", overrides))
        if through is None:
            answer = server.run("build", overrides, deadline)
        else:
            # Once more, behind what the wrapper puts behind them.
            program, words = through
            end = words.index("--") if "--" in words else len(words)
            words[end:end] = overrides
            answer = server.run_words(program, words, "build", deadline)
        options = read_events(file).options
    if options is None:
        said = error_line(answer.stderr) or answer.last_words()
        raise BazelError(
            f"bazel does not take the rc files of {server.workspace} (it exited with {answer.returncode})",
            *([f"it said: {said}"] if said else []),
            code="bazel.rc",
        )
    return options.without(overrides if through is None else [*overrides, *overrides])
