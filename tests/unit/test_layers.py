"""Arrows go down, as docs/architecture.md draws them, and no two packages need each other."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import gfattach

ROOT = Path(gfattach.__file__).parent
PAGE = (Path(__file__).parents[2] / "docs/architecture.md").read_text(encoding="utf-8")

#: From the ground up, as the page has them; the templates of a wheel are beside the code.
ROWS = re.search(r"```layers\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
FLOOR = {row.split()[0]: floor for floor, row in enumerate(reversed(ROWS))}


def name_of(path):
    """The dotted name of a module, without `gfattach.` itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def sources():
    """Every module by its dotted name, parsed when a test first asks."""
    return {
        name_of(path): ast.parse(path.read_text(encoding="utf-8"))
        for path in ROOT.rglob("*.py")
        if not path.name.endswith("_pb2.py") and path.parent.name != "_templates"
    }


def imports(tree):
    """The modules of gfattach that a module imports, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "gfattach":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}".partition(".")[2]
                yield whole if whole in sources() else node.module.partition(".")[2]
        elif isinstance(node, ast.Import):
            yield from (a.name.partition(".")[2] for a in node.names if a.name.startswith("gfattach."))


@cache
def arrows():
    """What imports what."""
    return {(name, target) for name, tree in sources().items() for target in imports(tree) if name and target}


def test_every_package_has_its_row_and_imports_only_from_below():
    packages = {name.split(".")[0] for name in sources() if name}
    assert packages == set(FLOOR), "give a new package its row in docs/architecture.md"
    above = {
        f"{name} imports {target}"
        for name, target in arrows()
        if (own := name.split(".")[0]) != (other := target.split(".")[0]) and FLOOR[other] >= FLOOR[own]
    }
    assert above == set()


def test_no_two_sub_packages_of_a_package_depend_on_each_other():
    between = {}
    for name, target in arrows():
        own, other = name.split("."), target.split(".")
        if len(own) > 1 and len(other) > 1 and own[0] == other[0] and own[1] != other[1]:
            between.setdefault((f"{own[0]}.{own[1]}", f"{other[0]}.{other[1]}"), f"{name} imports {target}")
    both = {pair: between[pair] for pair in between if pair[::-1] in between}
    assert both == {}


def test_no_package_is_flat():
    """At most 16 modules stand beside each other, an `__init__` not counted."""
    counted = Counter(path.parent for path in ROOT.rglob("*.py") if path.name != "__init__.py")
    assert {folder.relative_to(ROOT).as_posix(): n for folder, n in counted.items() if n > 16} == {}


#: What a process has of its own, and a command is handed in its context.
PROCESS = {("os", "environ"), ("os", "getenv"), ("os", "getcwd"), ("Path", "cwd")} | {
    ("sys", name) for name in ("stdin", "stdout", "stderr")
}

#: The modules below the command line that ask the process itself, and why.
ASKS_THE_PROCESS = {
    "core.context": "it is where the command line takes it from",
    "core.terminal": "what a child of this process finds as its terminal",
    "core.process": "ps, for systems without /proc, is looked for where this process looks",
    "core.git": "git is run as this process would run it, by names alone that cannot mislead it",
    "core.daemon.start": "what a process that stays is started with",
    "bazel.server.run": "a private Bazel has this process's PATH and proxies, and nothing else of it",
    "reapi.grpc_client": "gRPC reads how much it says from the environment alone, when it is loaded",
    "credential.keyring_store": "the library of keyrings reads its choice from the environment alone",
    "inputs.prove.isolate": "a script of its own",
    "trial.serve": "a process of its own: its log is its stderr",
    "agent.__main__": "a process of its own: what was handed over is its environment",
    "agent.guard.watchdog": "a process of its own, in the agent's place",
    "agent.control.holder": "in the agent: its environment is what commands have handed over",
    "agent.upstream.session": "in the agent: what it resolves a kubeconfig with",
    "agent.model.state": "the agent and every command have to find one socket",
    "agent.launch.environment": "what the agent is started with, and later handed, is this process's",
    "cluster.kubeconfig.resolve": "the default of the agent and of what asks who an attachment goes as",
    "probes.substituter.client": "the proxy that leads to a substituter is this process's",
    "nixcache.transport": "the default where no environment is handed in",
}


def asks_the_process(tree):
    """Whether a module reads the environment, the working directory or the streams of its process."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in PROCESS
        for node in ast.walk(tree)
    )


def test_nothing_below_the_command_line_asks_the_process_but_what_is_said_here():
    found = {name for name, tree in sources().items() if asks_the_process(tree)}
    assert {name for name in found if not name.startswith("cli") and name != "__main__"} == set(
        ASKS_THE_PROCESS
    )
