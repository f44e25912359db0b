"""Commands that are shown do what they say and no more, and a terminal obeys nothing of others' texts."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gfattach
from gfattach.core.quote import command, steering, visible, word
from gfattach.core.redact import redact, redacted

ROOT = Path(gfattach.__file__).parent
HOSTILE = [
    "$(touch x)",
    "`touch x`",
    "a; touch x",
    "a\ntouch x",
    "' touch x '",
    "x && touch x",
    "-n",
    "a b",
    "",
]
STEERING = ["\x1b[2J", "\x9b2J", "\x85", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\r", "\x7f"]


@pytest.mark.parametrize("text", [*HOSTILE, *(f"a{mark}b" for mark in STEERING), "ünï¢ode", "\\n'"])
def test_a_word_is_one_word_to_a_shell_whatever_it_holds(text, tmp_path):
    assert not steering(word(text)) and "\n" not in word(text)
    bash = shutil.which("bash")
    assert bash is not None
    script = f"printf '%s\\0' {word(text)}"
    said = subprocess.run([bash, "-c", script], capture_output=True, check=True, cwd=tmp_path).stdout
    assert said == text.encode() + b"\0"
    assert list(tmp_path.iterdir()) == []


@given(st.text())
def test_nothing_that_steers_is_left_of_any_text(text):
    assert not steering(visible(text)) and not steering(redact(text)) and not steering(word(text))
    assert not steering(redacted({"fact": [text]})["fact"][0])


def test_plain_text_is_as_it_was():
    for text in ("plain", "ünï¢ode", "two\nlines\tand a tab", "emoji 🙂"):
        assert visible(text) == text
    assert visible("\x1b[1m\u202ex\U000e0041") == r"\x1b[1m\u202ex\U000e0041"
    assert visible(os.fsdecode(b"caf\xe9")) == r"caf\xe9"


def test_words_are_joined():
    assert command("gfattach", "up", Path("/a b")) == "gfattach up '/a b'"


#: Programs that a hint may have a person run; what stands behind one in a hint is its command line.
PROGRAMS = "gfattach|kubectl|rm|ls|git|chmod|mkdir|cat|grep|openssl|ss|nix|nix-store|attic|export [A-Z_]+="
PROGRAM = re.compile(rf"(?:: |[|&;] |\$\(|^)(?:sudo )?(?:{PROGRAMS})(?= )")

#: What only looks like one: a sentence about the program, which stands where its name begins the text.
SENTENCE = re.compile(
    r"^(?:git|gfattach|nix|bazel) (?:tracks|trusts|does|cannot|said|asks|and Bazel|blob)\b"
    r"|^gfattach[: ]$|at the end of $"
)

#: What is one word by its own grammar, and no text of others: numbers, names of variables and of options.
PLAIN = {
    *(
        "pid",
        "process.pid",
        "place.port",
        "pod.port",
        "endpoint.port",
        "remembered.port",
        "port",
        "kind",
        "near",
    ),
    *(
        "name",
        "built_from()",  # `gfattach --version` says it, which is no command
        "error.option_name",
        "named",
        "context",
        "option",
        "document['command']",
    ),  # made of quoted words, or of a command's own name
}


def commands():
    """What is filled into a command line that is shown, by place."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            before = ""
            for part in node.values:
                if isinstance(part, ast.Constant):
                    before += str(part.value)
                elif PROGRAM.search(before) and not SENTENCE.search(before):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", part.value  # type: ignore[attr-defined]


def quoted(value):
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in {"word", "command", "quote", "shlex.quote", "shlex.join"}
    return False


def test_every_value_in_a_command_that_is_shown_is_quoted():
    found = [
        f"{where}: {ast.unparse(value)}"
        for where, value in commands()
        if not quoted(value) and ast.unparse(value) not in PLAIN
    ]
    assert found == []
