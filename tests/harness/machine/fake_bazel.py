"""Stand-ins for Bazel at the process boundary: scripts that crash, hang, or answer as told."""

from gfattach.bazel.program.binary import Bazel

#: What a script sees: `base` is its output base, `command` the command, the rest stays in "$@".
_PREAMBLE = """#!/bin/bash
while [ $# -gt 0 ]; do
  case "$1" in
    --output_base=*) base="${1#--output_base=}"; shift ;;
    --*) startup="$startup $1"; shift ;;
    *) command="$1"; shift; break ;;
  esac
done
"""


def fake_bazel(path, body):
    """A Bazel whose commands run `body`, with $base, $command and the command's own arguments."""
    path.write_text(_PREAMBLE + body + "\n")
    path.chmod(0o755)
    return Bazel(path, "8.1.1")
