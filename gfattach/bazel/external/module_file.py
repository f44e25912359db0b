"""Reads what the workspace's own MODULE.bazel declares: repository rules that it calls, and overrides.

The file is Starlark, of which calls with literal arguments are a subset of Python's expressions: these are
read, and nothing is run. What is computed, or stands in an included file, is left to the observation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from gfattach.bazel.external.query import Repository
from gfattach.core.files import read_bytes

NAME = "MODULE.bazel"

#: Overrides by which a module comes from elsewhere than a registry, and what they amount to.
_OVERRIDES = {"archive_override": "http_archive", "git_override": "git_repository"}


def read_module_file(workspace: Path) -> tuple[Repository, ...]:
    """The repositories that it declares; none for a file that is missing or cannot be read as such.

    Raises StorageError.
    """
    content = read_bytes(workspace / NAME)
    try:
        tree = ast.parse((content or b"").decode("utf-8"))
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(_repositories(tree))


def _repositories(tree: ast.Module) -> Iterator[Repository]:
    rules: dict[str, str] = {}
    for statement in tree.body:
        value = getattr(statement, "value", None)
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
            continue
        called = value.func.id
        if isinstance(statement, ast.Assign) and called == "use_repo_rule" and len(value.args) == 2:
            target, rule = statement.targets[0], value.args[1]
            if isinstance(target, ast.Name) and isinstance(rule, ast.Constant):
                rules[target.id] = str(rule.value)
        elif called in rules or called in _OVERRIDES:
            yield _repository(value, rules.get(called) or _OVERRIDES[called])


def _repository(call: ast.Call, rule: str) -> Repository:
    texts: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for word in call.keywords:
        try:
            value = ast.literal_eval(word.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        if word.arg and isinstance(value, str):
            texts[word.arg] = value
        elif word.arg and isinstance(value, list):
            lists[word.arg] = [str(each) for each in value]
    return Repository(texts.get("name") or texts.get("module_name", ""), rule, NAME, texts, lists)
