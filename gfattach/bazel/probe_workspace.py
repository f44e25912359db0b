"""Writes the probe: a workspace whose actions have the same keys on every machine.

An action's key covers its command line, its environment, its inputs, its output paths and
its platform. Here the command is `/bin/sh` with fixed arguments, the environment is empty,
the inputs are written here, and the outputs are named by Bazel's own convention for the OS
and CPU: so two machines with the same OS and CPU ask for the same twenty entries, whatever
their users, directories and PATHs are, and one of them can hit what the other stored. No
rule set, toolchain or external repository is asked for.
"""

from __future__ import annotations

import string
from pathlib import Path

from msgspec import Struct

from gfattach.core.errors import UsageError
from gfattach.core.files import make_private_directory, write_atomic

#: How many actions the probe has: enough that one odd one is 5 %.
ACTIONS = 20

#: What the build asks for.
LABEL = "//:probe"

#: Labels of one action each, that nothing else builds: for questions that one action answers, with the server
#: of a proof as it is.
SINGLES = ("//:single", "//:single_too")

#: Part of every key: change it with the actions, so that old entries are not mistaken for new ones.
GENERATION = "gfattach probe 1"

_RULE = '''"""Small actions with nothing of the machine in them."""

def _probe_impl(ctx):
    outputs = []
    for number in range(ctx.attr.actions):
        output = ctx.actions.declare_file("%s_%d.txt" % (ctx.label.name, number))
        ctx.actions.run(
            outputs = [output],
            inputs = ctx.files.srcs,
            executable = "/bin/sh",
            arguments = [
                "-c",
                'while read -r line; do echo "$line"; done < "$1" > "$2"; echo "$3" >> "$2"',
                "sh",
                ctx.files.srcs[0].path,
                output.path,
                str(number),
            ],
            env = {},
            use_default_shell_env = False,
            mnemonic = "GfattachProbe",
            progress_message = "Probing with action %d" % number,
        )
        outputs.append(output)
    return [DefaultInfo(files = depset(outputs))]

probe = rule(
    implementation = _probe_impl,
    attrs = {
        "actions": attr.int(mandatory = True),
        "srcs": attr.label_list(allow_files = True, mandatory = True),
    },
)
'''

_BUILD = f"""load(":probe.bzl", "probe")

probe(
    name = "probe",
    actions = {ACTIONS},
    srcs = ["input.txt"],
)

[probe(
    name = label[len("//:"):],
    actions = 1,
    srcs = ["input.txt"],
) for label in {list(SINGLES)}]
"""

#: Both markers: Bazel before 8 wants the first, from 8 on the second.
_FILES = {"WORKSPACE": "", "MODULE.bazel": "", "BUILD.bazel": _BUILD, "probe.bzl": _RULE}


class ProbeWorkspace(Struct, frozen=True):
    """A written probe. `nonce` is part of its input: with one that nobody used yet, nothing can be hit."""

    directory: Path
    nonce: str = ""


def write_probe(directory: Path, nonce: str = "") -> ProbeWorkspace:
    """Write the probe into `directory`. Raises UsageError for a nonce of other than letters and digits.

    Raises StorageError when the directory cannot be written.
    """
    if set(nonce) - set(string.ascii_letters + string.digits):
        raise UsageError("a nonce is made of letters and digits only")
    make_private_directory(directory)
    for name, text in _FILES.items():
        write_atomic(directory / name, text.encode())
    write_atomic(directory / "input.txt", f"{GENERATION}\n{nonce}\n".encode())
    return ProbeWorkspace(directory, nonce)
