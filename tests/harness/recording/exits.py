"""The codes that the sources give: what raises an error with which code and exit code, what finds what.

The sources are walked: `code=` of an error, `default_code` of its class, and what ok, warn, fail, skip and
Finding are given. A code that is put together, or that comes through a name, is enumerated from its pieces;
a way to give a code that this module does not know fails, so that no code is met unseen.

    python -m tests.harness.recording.exits      makes gfattach/codes/exits.json
"""

import ast
import json
from collections import defaultdict
from functools import cache
from pathlib import Path

import gfattach
from gfattach.cluster.api import client as api
from gfattach.codes.exits import FILE
from gfattach.core.errors import ExitCode
from gfattach.net import errors as dial
from gfattach.nixcache.errors import Kind
from gfattach.undo.journal import Undone

ROOT = Path(gfattach.__file__).parent
FINDINGS = {"ok", "warn", "fail", "skip", "unknown", "Finding"}


@cache
def trees():
    """Every module by its path, parsed when it is first asked for: to import this file costs nothing."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.rglob("*.py"))
        if not path.name.endswith("_pb2.py")
    }


@cache
def every_call():
    """By name, the calls of it: the path of the module, and the call. The trees are walked once for all."""
    found = defaultdict(list)
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found[called(node)].append((path, node))
    return found


def calls(name, where=""):
    """The calls of `name` in the modules whose path begins with `where`."""
    return (node for path, node in every_call()[name] if path.startswith(where))


def called(node):
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def constants(node):
    """What an expression can be: a text, or one of several by a condition; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp) and (one := constants(node.body)) and (other := constants(node.orelse)):
        return one | other
    return None


@cache
def kinds(name, position, where=""):
    """The texts at `position` in the calls of `name`. Each of them has to be spelt out there."""
    found = set()
    for node in calls(name, where):
        texts = constants(node.args[position])
        assert texts, f"{name} is given a kind that is not spelt out: {ast.unparse(node)[:120]}"
        found |= texts
    return found


#: Codes that are put together: what they begin with, and what may follow.
COMPOSED = {
    "cluster.api.": lambda: {*api._CODES.values(), "failed"},
    "cluster.http.": lambda: kinds("HttpError", 0),
    "cluster.dial.": lambda: kinds("DialError", 0) | set(dial._KINDS.values()),
    "cluster.forward.": lambda: kinds("ChannelError", 0),
    "cluster.context.": lambda: kinds("_dangling", 1, "cluster/kubeconfig/resolve.py"),
    "cluster.credential.": lambda: (
        kinds("_fault", 1, "cluster/kubeconfig/credentials.py")
        | kinds("PemError", 1, "cluster/kubeconfig/trust.py")
    ),
    "cluster.credential.plugin-": lambda: kinds("_fault", 1, "cluster/kubeconfig/exec_plugin.py"),
    "nix-cache.": lambda: {kind.value for kind in Kind},
    "nix.": lambda: kinds("_error", 0, "nix/program.py"),
    "undo.": lambda: {result.value for result in Undone},
}

#: Modules that give codes through the name `code`, and what those begin with. They are spelt out there.
THROUGH_A_NAME = {
    "contract/hazards/environment.py": "hazard.",
    "proof/nix/evidence.py": "nix.",
    "proof/bazel/no_executor.py": "prove.executor.",
    "fragments/link.py": "link.",
    "rbe/manifest/lint.py": "rbe.lint.",
    "rbe/result/rules.py": "rbe.result.",
    "rbe/claims/judge.py": "rbe.claim.",
    "site/lint.py": "site.lint.",
}

#: Codes of something else that is handed on: it has a meaning where it comes from.
HANDED_ON = {
    "cause.code",
    "each.rule.code",
    "error.code",
    "finding.code",
    "first.code",
    "reason.code",
    "said['code']",
    "str(said['code'])",
}

#: What only looks like it: the constructors of findings, and the errors' own.
NOT_GIVEN = {"core/finding.py", "tls/part.py"}


def spelt_out(path):
    """The codes that the module holds for a name: no keys of a table, none that an error is given."""
    other = {id(key) for node in ast.walk(trees()[path]) if isinstance(node, ast.Dict) for key in node.keys}
    other |= {id(n.value) for n in ast.walk(trees()[path]) if isinstance(n, ast.keyword) and n.arg == "code"}
    return {
        node.value
        for node in ast.walk(trees()[path])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(THROUGH_A_NAME[path])
        and id(node) not in other
        and " " not in node.value
        and not node.value.endswith(".")
    }


def codes_of(node, path):
    """The codes that an expression can come to; it must be one of the ways that are known."""
    texts = constants(node)
    if texts is not None:
        return texts
    if isinstance(node, ast.JoinedStr) and getattr(node.values[0], "value", None) in COMPOSED:
        return {node.values[0].value + kind for kind in COMPOSED[node.values[0].value]()}  # type: ignore[attr-defined]
    if ast.unparse(node) == "code" and path in THROUGH_A_NAME:
        return spelt_out(path)
    assert ast.unparse(node) in HANDED_ON, (
        f"{path}:{node.lineno}: what codes can this be? {ast.unparse(node)}"
    )
    return set()


@cache
def classes():
    """Every class by its name."""
    return {
        node.name: node
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }


@cache
def attribute(name, what):
    """The expression of a class's attribute, its own or inherited; None for no class of ours."""
    if (node := classes().get(name)) is None:
        return None
    for line in node.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == what:
            return line.value
    return next((found for base in node.bases if (found := attribute(ast.unparse(base), what))), None)


def exit_code_of(name):
    found = attribute(name, "exit_code")
    return None if found is None else ExitCode[found.attr]


def raisers(tree):
    """Each call, and the name of what it makes: `super().__init__` makes the class around it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and exit_code_of(node.name) is not None:
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and makes_its_base(call):
                    yield call, node.name
        elif isinstance(node, ast.Call) and not makes_its_base(node):
            yield node, called(node)


def makes_its_base(call):
    """Whether it is `super().__init__(...)`; only what is called that is put into words, which takes long."""
    return called(call) == "__init__" and ast.unparse(call.func) == "super().__init__"


@cache
def errors_given():
    """Every code that an error can have, with the exit codes of the classes that carry it."""
    given = {}
    for path, tree in trees().items():
        for call, name in raisers(tree):
            code = next((word.value for word in call.keywords if word.arg == "code"), None)
            if code is not None and (exit_code_of(name) is not None or ast.unparse(code) in HANDED_ON):
                for text in codes_of(code, path):
                    given.setdefault(text, set()).add(exit_code_of(name))
            else:
                assert code is None or name == "Status", f"{path}:{call.lineno}: what is {name}, with a code?"
    for name, node in classes().items():
        for line in node.body:
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "default_code":
                given.setdefault(line.value.value, set()).add(exit_code_of(name))  # type: ignore[attr-defined]
    # An interruption is no failure of the work: the command that was interrupted says its own exit code.
    given["interrupted"] = {ExitCode.INTERRUPTED}
    return given


@cache
def findings_given(*, probes):
    """Every code that a finding has outside of the probes, or those that probes spell out."""
    given = set()
    for path, tree in trees().items():
        if path in NOT_GIVEN or path.startswith("probes/") is not probes:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in FINDINGS and node.args:
                given |= (constants(node.args[0]) or set()) if probes else codes_of(node.args[0], path)
    return given


def exits():
    """The text of `exits.json`: the codes of each exit code. One code with two exit codes fails."""
    several = {code: found for code, found in errors_given().items() if len(found) != 1}
    assert several == {}, f"codes with more than one exit code: {several}"
    named = {
        exit_code.name: sorted(code for code, found in errors_given().items() if found == {exit_code})
        for exit_code in ExitCode
    }
    return json.dumps({name: codes for name, codes in named.items() if codes}, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(exits(), encoding="utf-8")
