"""What a machine's own rc tells a Bazel before it starts: what is lost when no rc is read.

A packaged Bazel may keep its install base, or its JDK, outside of itself and say where in the system's rc
(Debian's in /etc/bazel/bazelrc, nixpkgs' in the store). Where that rc is, is compiled into the client: it
is asked, with an output base that cannot be, so that it ends before it starts a server (20 ms; seen with
2.1.0, 4.2.3 and 7.7.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gfattach.bazel.rc.grammar import statements
from gfattach.core import process
from gfattach.core.deadline import Deadline

#: Seconds that the client may take to say which files it reads.
ASK_SECONDS = 20.0

#: Startup options that are part of a Bazel: without them it does not start, or not in the JVM that it is
#: made for.
_OWN = (
    "--install_base",
    "--trust_install_base",
    "--notrust_install_base",
    "--server_javabase",
    "--host_jvm_args",
)

#: Of all commands the one that needs no server: a client that finds its output base after all ends as well.
_QUESTION = ("--client_debug", "--nohome_rc", "--noworkspace_rc", "--output_base=/dev/null/none", "shutdown")

_READ = re.compile(r"Parsing the RcFile (?P<path>/.*)$", re.MULTILINE)


def startup_options(
    path: Path, deadline: Deadline, environ: Mapping[str, str], workspace: Path | None
) -> tuple[str, ...]:
    """Those options that the system's rc gives the Bazel at `path`; none where it does not say.

    A wrapper in Bazel's place that does not hand the question on gives none.
    """
    try:
        answer = process.run(
            [str(path), *_QUESTION], deadline.within(ASK_SECONDS), env=dict(environ), cwd=workspace
        )
    except OSError:
        return ()
    files = [Path(match["path"].strip()) for match in _READ.finditer(answer.stderr)]
    return tuple(option for file in files for option in _options(file))


def _options(file: Path) -> Iterator[str]:
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    for _, (command, *rest) in statements(text):
        if command != "startup":
            continue
        for word, following in zip(rest, [*rest[1:], "-"], strict=True):
            name, equals, _ = word.partition("=")
            if name in _OWN:
                yield word if equals or following.startswith("-") else f"{word}={following}"
