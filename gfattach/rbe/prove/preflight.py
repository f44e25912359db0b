"""Chooses the options of a proof's builds for the Bazel at hand, or says what it cannot write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gfattach.bazel.capabilities.flags import accepted_flags
from gfattach.bazel.program.binary import Bazel
from gfattach.core.deadline import Deadline
from gfattach.core.errors import UsageError
from gfattach.core.paths import cache_directory
from gfattach.rbe.prove.options import BuildOptions, ProveOptions

#: What to do where a Bazel does not write an execution log, by the format that was asked for.
_OTHER_LOG = {
    "compact": (
        "the compact log is written by Bazel 7.1 and later",
        "the JSON log is written by this one too: --execution-log json",
    ),
    "json": ("a proof is made from it: name another Bazel, --bazel PROGRAM",),
}


def build_options(
    options: ProveOptions,
    bazel: Bazel,
    endpoint: Sequence[str],
    platform: str,
    work: Path,
    deadline: Deadline,
) -> BuildOptions:
    """The options of every build of a proof on `platform`; `endpoint` are those that say where it goes.

    Raises UsageError (`rbe.prove.log-format`) for a Bazel that does not write the logs that a proof is made
    from, BazelError and StorageError.
    """
    accepted = accepted_flags(
        bazel,
        BuildOptions.candidates(options.log_format),
        work=work,
        cache=cache_directory() / "bazel-flags.json",
        deadline=deadline,
    )
    made = BuildOptions(
        accepted, options.log_format, platform, endpoint, options.bazel_arguments, options.nonce_flags
    )
    program = f"{bazel.path} ({bazel.label})"
    if made.log_flag is None:
        said = f"{program} writes no {options.log_format} execution log"
        raise UsageError(said, *_OTHER_LOG[options.log_format], code="rbe.prove.log-format")
    if made.calls_flag is None:
        raise UsageError(
            f"{program} writes no log of remote calls",
            "nothing else says what the server answered: name another Bazel, --bazel PROGRAM",
            code="rbe.prove.log-format",
        )
    return made
