"""Starting is part of the product: what `--help` and `--version` may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "subprocess",
    "gfattach.core.git",
    "grpc",
    "httpx",
    "keyring",
    "kubernetes",
    "rich",
    "cryptography",
    "google.protobuf",
    "asyncio",
)


def loaded(modules, *args):
    """Which of `modules` a command has loaded, as the interpreter itself lists them; and its stdout."""
    script = (
        "import sys; from gfattach.cli.main import run; code = run(sys.argv[1:]);"
        f"print([m for m in {modules!r} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr.strip(), done.stdout


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["help", "exit-codes"]])
def test_it_starts_without_the_heavy_modules(args):
    names, shown = loaded(HEAVY, *args)
    assert names == "[]"
    assert shown.strip()


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_has_no_value_to_show_loads_no_structs(word):
    assert loaded(("msgspec",), word)[0] == "[]"


@pytest.mark.parametrize(
    "command", ["up", "status", "down", "prove", "site", "contract", "env", "exec", "credential"]
)
def test_the_help_of_a_command_loads_none_of_the_four_either(command):
    names, shown = loaded(("grpc", "httpx", "keyring", "kubernetes"), command, "--help")
    assert names == "[]"
    assert f"gfattach {command}" in shown


def test_a_value_is_a_struct_and_never_a_dataclass():
    """Each dataclass compiles its methods at every start."""
    for path in (Path(__file__).parents[2] / "gfattach").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.module == "dataclasses"), path


def test_an_http_client_loads_no_command_line_of_its_own():
    script = (
        "import sys; from gfattach.net.lean_httpx import httpx;"
        "print([m for m in ('click', 'rich', 'pygments', 'httpx._main') if m in sys.modules], httpx.Client)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split("<")[0].strip() == "[]", done.stderr


def test_an_agent_loads_nothing_that_a_forward_has_no_use_for():
    """It stays for hours, and each of these is memory."""
    script = (
        "import sys, gfattach.agent.serve, gfattach.cluster.connection, gfattach.core.daemon.readiness;"
        "print([m for m in ('click', 'grpc', 'httpx', 'platformdirs', 'shutil', 'lzma') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
