"""Arrows go down: no module imports from a layer above its own (docs/architecture.md)."""

import ast
from pathlib import Path

import gfattach

ROOT = Path(gfattach.__file__).parent

#: From the ground up; names in one row may import one another.
LAYERS = (
    ("core", "_templates"),
    ("undo",),
    ("tls",),
    ("reapi", "nixcache", "bazel", "nix", "cluster", "credential"),
    ("agent",),
    ("proof", "fragments", "site", "trial", "contract"),
    ("probes",),
    ("attach",),
    ("operator",),
    ("codes",),
    ("report",),
    ("cli",),
    ("__main__",),
)
FLOOR = {name: floor for floor, names in enumerate(LAYERS) for name in names}


def imports(path):
    """Top-level packages of gfattach that the file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gfattach."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "gfattach":
            yield from (alias.name for alias in node.names if alias.name in FLOOR)
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("gfattach."))


def test_every_module_has_its_floor_and_imports_only_from_below():
    broken = []
    for path in ROOT.rglob("*.py"):
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if own == "__init__" or path.name.endswith("_pb2.py"):
            continue
        assert own in FLOOR, f"{own} has no floor: give it one in docs/architecture.md and here"
        broken += [
            f"{path.relative_to(ROOT)} imports {name}" for name in imports(path) if FLOOR[name] > FLOOR[own]
        ]
    assert broken == []
