"""The lines of the Bazel fragment that name where the site keeps external inputs."""

from __future__ import annotations

from collections.abc import Mapping

from gfattach.bazel.rc.grammar import quote

#: Commands that load repositories: the last two do not inherit the options of `build` (4.2.3 and 7.7.1).
COMMANDS = ("build", "fetch", "query")


def input_lines(said: Mapping[str, str]) -> str:
    """The lines for what the contract's variables in `said` name, "" where they name nothing.

    Raises UsageError for a path that no rc file can hold.
    """
    options = []
    if cache := said.get("BAZEL_REPOSITORY_CACHE"):
        options.append(f"--repository_cache={cache}")
    options += [f"--distdir={each}" for each in said.get("BAZEL_DISTDIR", "").split(":") if each]
    if not options:
        return ""
    lines = [f"{command} {quote(option)}" for command in COMMANDS for option in options]
    return "\n# External inputs: where the site keeps them.\n" + "\n".join(lines) + "\n"
