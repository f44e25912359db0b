"""The lines for each shell, read by the shell itself: what is meant is what arrives."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfattach.contract import shells
from gfattach.contract.environment import (
    MEMORY,
    SAVED,
    Assign,
    Exports,
    Reference,
    attached,
    change,
    detached,
)
from gfattach.contract.model.variables import BY_NAME
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import UsageError

FORWARD = Exports(parse_endpoint("grpc://127.0.0.1:49152"), Path("/w/.gfattach/nix.conf"))
OTHER = Exports(parse_endpoint("http://127.0.0.1:49153"), Path("/w/it's/$HOME/nix.conf"))

#: A program, and what makes it do what the file in $1 says and print its environment.
SHELLS = {
    "sh": ["sh", "-c", 'eval "$(cat "$1")"; env -0', "sh"],
    "bash": ["bash", "--norc", "-c", 'eval "$(cat "$1")"; env -0', "bash"],
    "bash, as direnv runs it": ["bash", "-euo", "pipefail", "-c", 'eval "$(cat "$1")"; env -0', "bash"],
    "dash": ["dash", "-euc", 'eval "$(cat "$1")"; env -0', "dash"],
    "zsh": ["zsh", "-f", "-c", 'eval "$(cat "$1")"; env -0', "zsh"],
    "zsh, sourced": ["zsh", "-f", "-o", "RC_QUOTES", "-c", '. "$1"; env -0', "zsh"],
    "fish": ["fish", "--no-config", "-c", "source $argv[1]; env -0"],
    "fish, from a pipe": ["fish", "--no-config", "-c", "cat $argv[1] | source; env -0"],
}

NASTY = [
    "",
    " ",
    "a b",
    " leading and trailing ",
    "it's",
    'say "so"',
    "'",
    "''",
    '"',
    "\\",
    "\\'",
    "back\\slash\\n",
    "end\\",
    "line\nbreak",
    "\n",
    "\n\n",
    "trailing\n",
    "\nleading",
    'a\'b\n"c"\n\\d\n',
    "$HOME",
    "${HOME}",
    "$(echo gone)",
    "`echo gone`",
    "!!",
    "a!b",
    "#comment",
    "~",
    "~root",
    "=ls",
    "a:=ls:~",
    "*",
    "{a,b}",
    "[x]",
    "a;b&c|d>e<f",
    "%s %d %%",
    "-n",
    "tab\tand\rreturn",
    "\x1b[31m",
    "ünï ¢ode 中",
    os.fsdecode(b"\xff\xfe"),
]


def run(shell, text, environment, tmp_path):
    """What the variables of the contract are after `shell` has read `text` in `environment`."""
    program, *args = SHELLS[shell]
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}: apt-get install {program}")
    file = tmp_path / "lines"
    file.write_bytes(os.fsencode(text))
    answer = subprocess.run(
        [program, *args, str(file)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, b""), answer.stderr
    found = dict(os.fsdecode(entry).split("=", 1) for entry in answer.stdout.split(b"\0") if entry)
    return {name: value for name, value in found.items() if ours(name)}


def ours(name):
    return name.startswith(("GFATTACH_", "VALUE_")) or name in BY_NAME


def lines(shell, changes):
    return shells.fish(changes) if shell.startswith("fish") else shells.sh(changes)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_value_arrives_as_it_was_meant(shell, tmp_path):
    meant = {f"VALUE_{number}": value for number, value in enumerate(NASTY)}
    changes = [Assign(name, (value,)) for name, value in meant.items()]
    assert run(shell, lines(shell, changes), {}, tmp_path) == meant


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=30)
)
def test_any_value_arrives_as_it_was_meant(shell, values, tmp_path):
    meant = {f"VALUE_{number}": value for number, value in enumerate(values)}
    changes = [Assign(name, (value,)) for name, value in meant.items()]
    assert run(shell, lines(shell, changes), {}, tmp_path) == meant


@pytest.mark.parametrize("shell", SHELLS)
def test_values_that_refer_to_variables_take_what_is_there(shell, tmp_path):
    before = {f"VALUE_{number}": value for number, value in enumerate(NASTY)}
    changes = [
        assign
        for name in before
        for assign in (
            Assign(f"{name}_COPY", (Reference(name),)),
            Assign(f"{name}_MORE", ("a\nb", Reference(name), "\n!include /x", Reference(name))),
            Assign(name, None),
        )
    ]
    after = {f"{name}_COPY": value for name, value in before.items()} | {
        f"{name}_MORE": f"a\nb{value}\n!include /x{value}" for name, value in before.items()
    }
    assert run(shell, lines(shell, changes), before, tmp_path) == after


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "users",
    [
        {},
        {"NIX_CONFIG": "", "BAZEL_REMOTE_CACHE": "", "BAZEL_REMOTE_EXECUTOR": ""},
        {
            "NIX_CONFIG": "access-tokens = 'it''s' \"$HOME\" \\ `x`\n\ncores = 2\n",
            "BAZEL_REMOTE_CACHE": "grpc://mine.example:1",
            "BAZEL_REMOTE_EXECUTOR": "grpc://cell.example:1 \n",
            "BAZEL_REMOTE_EXEC_HEADER": "a=b c\nd='e'\n",
            "GF_BAZEL_RUNNER_LABELS": "ubuntu-latest, x",
            "BAZEL_CREDENTIAL_HELPER": "a=/b\nc=/d",
        },
    ],
    ids=["nothing before", "empty values before", "the user's own before"],
)
def test_a_shell_that_attaches_attaches_elsewhere_and_detaches_is_as_it_was(shell, users, tmp_path):
    inside = run(shell, lines(shell, change(users, attached(users, FORWARD))), users, tmp_path)
    assert inside == attached(users, FORWARD)
    other = Exports(OTHER.cache, Path("/other/nix.conf"))
    elsewhere = run(shell, lines(shell, change(inside, attached(inside, other))), inside, tmp_path)
    assert elsewhere == attached(users, other)
    back = run(shell, lines(shell, change(elsewhere, detached(elsewhere))), elsewhere, tmp_path)
    assert back == users


@pytest.mark.parametrize("shell", ["sh", "fish"])
def test_reading_the_lines_twice_changes_nothing(shell, tmp_path):
    users = {"NIX_CONFIG": "cores = 2", "BAZEL_REMOTE_CACHE": "grpc://mine.example:1"}
    inside = attached(users, FORWARD)
    assert lines(shell, change(inside, attached(inside, FORWARD))) == ""


def test_each_assignment_is_one_line_and_never_a_quoting_of_one_shell_only():
    changes = [Assign(f"VALUE_{number}", (value,)) for number, value in enumerate(NASTY)]
    for text in (shells.sh(changes), shells.fish(changes)):
        assert text.count("\n") == len(NASTY)
        assert "$'" not in text


def test_lines_that_are_evaluated_without_quotes_still_mean_the_same(tmp_path):
    changes = change({}, attached({}, FORWARD))
    text = shells.sh([each for each in changes if each.name not in (MEMORY, "NIX_CONFIG")])
    answer = subprocess.run(
        ["sh", "-c", 'eval $(cat "$1"); echo "$BAZEL_REMOTE_CACHE $BAZEL_REMOTE_UPLOAD"', "sh", "/dev/stdin"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stdout == "grpc://127.0.0.1:49152 false\n"


def test_json_says_what_is_set_what_is_unset_and_what_is_made_of_what():
    users = {"NIX_CONFIG": "cores = 2", "BAZEL_REMOTE_EXECUTOR": "grpc://cell.example:1"}
    document = json.loads(shells.json_text(change(users, attached(users, FORWARD))))
    assert document["schema"] == "gfattach.env/1"
    assert document["set"]["BAZEL_REMOTE_CACHE"] == "grpc://127.0.0.1:49152"
    assert document["unset"] == ["BAZEL_REMOTE_EXECUTOR"]
    assert document["derive"] == {
        f"{SAVED}NIX_CONFIG": [{"variable": "NIX_CONFIG"}],
        f"{SAVED}BAZEL_REMOTE_EXECUTOR": [{"variable": "BAZEL_REMOTE_EXECUTOR"}],
        "NIX_CONFIG": [{"variable": "NIX_CONFIG"}, {"text": "\n!include /w/.gfattach/nix.conf"}],
    }


def read_github(text):
    """The variables in an environment file, by the rules that GitHub gives for it."""
    found, rest = {}, text.split("\n")
    assert rest.pop() == ""
    while rest:
        line = rest.pop(0)
        several = re.fullmatch(r"([A-Za-z_]\w*)<<(\S+)", line)
        if several is None:
            name, _, found_value = line.partition("=")
            found[name] = found_value
            continue
        name, delimiter = several.groups()
        end = rest.index(delimiter)
        found[name] = "\n".join(rest[:end])
        del rest[: end + 1]
    return found


def test_github_s_file_holds_every_value_that_it_can_hold():
    meant = {f"VALUE_{number}": value for number, value in enumerate(NASTY) if "\r" not in value}
    assert read_github(shells.github([Assign(n, (v,)) for n, v in meant.items()], {})) == meant


def test_no_line_of_a_value_ends_it_in_github_s_file():
    plain = shells.github([Assign("A", ("x\ny",))], {})
    delimiter = plain.split("\n")[0].partition("<<")[2]
    assert plain == f"A<<{delimiter}\nx\ny\n{delimiter}\n"
    hostile = f"x\n{delimiter}\nB=injected"
    assert read_github(shells.github([Assign("A", (hostile,))], {})) == {"A": hostile}


def test_a_carriage_return_cannot_stand_in_github_s_file():
    with pytest.raises(UsageError) as caught:
        shells.github([Assign("A", ("x\r",))], {})
    assert caught.value.code == "contract.env.carriage-return"


def test_github_s_file_makes_empty_what_it_cannot_unset_and_saves_nothing():
    users = {"BAZEL_REMOTE_EXECUTOR": "grpc://cell.example:1", "NIX_CONFIG": "cores = 2\n# mine"}
    found = read_github(shells.github(change(users, attached(users, FORWARD)), users))
    assert found["BAZEL_REMOTE_EXECUTOR"] == ""
    assert found["NIX_CONFIG"] == "cores = 2\n# mine\n!include /w/.gfattach/nix.conf"
    assert not [name for name in found if name.startswith(SAVED)]
    later = users | found
    assert read_github(shells.github(change(later, detached(later)), later))["BAZEL_REMOTE_CACHE"] == ""


@pytest.mark.parametrize(
    "nix_config",
    [
        "access-tokens = github.com=hunter2",
        "extra-substituters = https://u:hunter2@h",
        "netrc-file = /x",
        "x",
    ],
)
def test_a_nix_config_that_may_hold_a_secret_is_not_spelled_out_in_github_s_file(nix_config):
    users = {"NIX_CONFIG": nix_config}
    with pytest.raises(UsageError) as caught:
        shells.github(change(users, attached(users, FORWARD)), users)
    assert caught.value.code == "contract.env.secret"
    assert "hunter2" not in caught.value.fact
