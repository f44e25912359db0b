"""`gfattach contract`, `env`, `exec` and `consumer-env`, against a real attachment and real shells."""

import json
import shutil
import subprocess
import sys

import pytest

QUICK = ("--no-bazel", "--no-nix")
SHELLS = ["bash", "dash", "zsh", "fish"]


@pytest.fixture
def attached(machine):
    machine.json("up", "--trial", *QUICK)
    return machine


def in_shell(machine, shell, script, **variables):
    """What the shell prints, `gfattach` being a function of it that runs this gfattach."""
    if shutil.which(shell) is None:
        pytest.skip(f"apt-get install {shell}")
    gfattach = machine.root / "bin" / "gfattach"
    gfattach.parent.mkdir(exist_ok=True)
    gfattach.write_text(f'#!/bin/sh\nexec {sys.executable} -m gfattach "$@"\n')
    gfattach.chmod(0o755)
    environment = {**machine.environment, **variables}
    environment["PATH"] = f"{gfattach.parent}:{environment['PATH']}"
    done = subprocess.run(
        [shell, "-c", script], cwd=machine.workspace, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def evaluated(shell):
    kind = "fish" if shell == "fish" else "sh"
    line = f"gfattach env --shell {kind}"
    return f"{line} | source" if shell == "fish" else f'eval "$({line})"'


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_attached_accepted_by_the_contract_and_taken_back(attached, shell):
    """What the user had is there again afterwards: spaces, quotes, several lines."""
    own = {"NIX_CONFIG": 'cores = 2\n# it\'s "mine"', "BAZEL_REMOTE_CACHE": "http://mine.example:8080"}
    show = "printenv NIX_CONFIG; printenv BAZEL_REMOTE_CACHE; printenv GF_FLYWHEEL_PROFILE_STATE; true"
    dump = "; ".join(
        [evaluated(shell), show, "gfattach contract --strict 2>/dev/null", "gfattach down >/dev/null 2>&1"]
    )
    once_more = "; ".join([evaluated(shell), "echo ----", show, "printenv | grep -c GFATTACH_; true"])
    out, _, after = in_shell(attached, shell, f"{dump}; {once_more}", **own).partition("----\n")
    assert 'cores = 2\n# it\'s "mine"\n!include' in out
    assert "grpc://127.0.0.1:" in out and "local-proof" in out
    assert "accepted\nStatus: shared-cache-backed\n" in out
    assert after == f"{own['NIX_CONFIG']}\n{own['BAZEL_REMOTE_CACHE']}\n0\n"


def test_the_local_file_is_written_only_where_git_ignores_it_and_holds_to_the_contract(attached):
    refused = attached.run("env", "--write", ".env.flywheel.local")
    assert refused.returncode == 3 and "git does not ignore" in refused.stderr
    with (attached.workspace / ".gitignore").open("a") as file:
        file.write(".env.flywheel.local\n")
    assert attached.run("env", "--write", ".env.flywheel.local").returncode == 0
    out = in_shell(attached, "dash", ". ./.env.flywheel.local; gfattach contract 2>/dev/null")
    assert out.endswith("accepted\nStatus: shared-cache-backed\n")
    (attached.workspace / ".env.flywheel.local").unlink()


def test_exec_runs_a_command_in_the_environment_with_its_own_exit_code(attached):
    done = attached.run("exec", "--", "sh", "-c", 'echo "$BAZEL_REMOTE_CACHE"; exit 7')
    assert (done.returncode, done.stdout.startswith("grpc://127.0.0.1:")) == (7, True)
    assert attached.run("exec", "no-such-program").returncode == 127


def test_exec_without_an_attachment_says_what_to_do(machine):
    done = machine.run("exec", "true")
    assert done.returncode == 2 and "gfattach up" in done.stderr


def test_env_for_github_appends_to_the_file_that_the_job_names(attached):
    file = attached.root / "github-env"
    attached.variables["GITHUB_ENV"] = str(file)
    assert attached.run("env", "--shell", "github").returncode == 0
    assert "GF_FLYWHEEL_PROFILE_STATE=local-proof\n" in file.read_text()
    del attached.variables["GITHUB_ENV"]
    assert attached.run("env", "--shell", "github").returncode == 2


def nix_config(machine, *words):
    done = machine.run("env", "--shell", "json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["set"].get("NIX_CONFIG", ""), done.stderr


def test_env_spells_out_what_scripts_read_in_nix_config_and_says_what_is_lost(attached):
    """A real Nix reads both alike."""
    included, said = nix_config(attached)
    assert included.startswith("!include ") and said == ""
    literal, said = nix_config(attached, "--nix", "literal")
    assert "include" not in literal
    assert "extra-substituters = http://127.0.0.1:" in literal and "extra-trusted-public-keys = " in literal
    assert "a cache that dies" in said and "gfattach env --nix include" in said
    if shutil.which("nix") is None:
        pytest.skip("apt-get install nix-bin")
    shown = [
        subprocess.run(
            ["nix", "--extra-experimental-features", "nix-command", "show-config", "--json"],
            env={**attached.environment, "NIX_CONFIG": text}, check=True, capture_output=True, text=True,
        ).stdout
        for text in (included, literal)
    ]  # fmt: skip
    assert json.loads(shown[0]) == json.loads(shown[1])
    assert "http://127.0.0.1:" in str(json.loads(shown[1])["substituters"]["value"])


def test_literal_settings_are_taken_back_as_the_include_is(attached):
    own = {"NIX_CONFIG": 'cores = 2\n# it\'s "mine"'}
    on, off = 'eval "$(gfattach env --nix literal 2>/dev/null)"', "gfattach down >/dev/null 2>&1"
    left = "printenv NIX_CONFIG; printenv | grep -c GFATTACH_; true"
    script = f"{on}; printenv NIX_CONFIG; {off}; {on}; echo ----; {left}"
    out, _, after = in_shell(attached, "dash", script, **own).partition("----\n")
    assert out.startswith(f"{own['NIX_CONFIG']}\nextra-substituters = ")
    assert after == f"{own['NIX_CONFIG']}\n0\n"


def test_while_the_cache_is_away_no_literal_setting_is_given(attached):
    fragment = attached.workspace / ".gfattach/nix.conf"
    fragment.write_text("# emptied\n")
    text, said = nix_config(attached, "--nix", "literal")
    assert text == "" and "the Nix cache is away now" in said


def test_env_as_json_names_what_is_set_and_unset(attached):
    document = json.loads(attached.run("env", "--shell", "json").stdout)
    assert document["set"]["GF_BAZEL_SUBSTRATE_MODE"] == "shared-cache-backed"


def test_contract_refuses_with_3_and_with_1_where_the_scripts_do_and_never_shows_a_secret(machine):
    machine.variables |= {
        "BAZEL_REMOTE_CACHE": "grpc://user:canary-1@cache.example:9092",
        "ATTIC_TOKEN": "canary-2",
    }
    refused = machine.run("contract")
    assert refused.returncode == 3
    assert "not accepted\nStatus: " in refused.stdout
    assert "hazard.attic-token" in refused.stdout
    assert "canary" not in refused.stdout + refused.stderr
    document = machine.json("contract", code=3)
    assert "canary" not in json.dumps(document)
    assert machine.run("contract", "--script-compat").returncode == 3  # a rule that no script has
    machine.variables["BAZEL_REMOTE_CACHE"] = "grpc://${CACHE_HOST}:9092"
    assert machine.run("contract", "--script-compat").returncode == 1
    del machine.variables["BAZEL_REMOTE_CACHE"]
    assert machine.run("contract").stdout.endswith("accepted\nStatus: compatibility-local-only\n")


def test_consumer_env_writes_the_environment_of_a_profile(machine):
    with (machine.workspace / ".gitignore").open("a") as file:
        file.write(".env.flywheel.local\n")
    path = machine.workspace / ".env.flywheel.local"
    profile = ("port-forward-cache", "--cache-endpoint", "grpc://127.0.0.1:9092")
    assert machine.run("consumer-env", *profile, "--write", str(path)).returncode == 0
    assert "export BAZEL_REMOTE_CACHE=grpc://127.0.0.1:9092" in path.read_text().replace("'", "")
    assert machine.run("consumer-env", "no-such-profile", "--write", str(path)).returncode == 2


def test_exec_gives_a_command_the_signals_that_a_shell_would(attached):
    """Python ignores SIGPIPE: what inherited that would write into a pipe that nobody reads."""
    done = attached.run("exec", "--", "sh", "-c", "yes | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "y\n", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("echo no first line\n", "exec format error"), ("#!/no/such/shell\n", "no such file or directory")],
)
def test_exec_says_why_a_program_that_is_there_cannot_be_run(attached, text, reason):
    program = attached.root / "odd"
    program.write_text(text)
    program.chmod(0o755)
    done = attached.run("exec", "--", str(program))
    assert done.returncode == 127
    assert f"{program} cannot be run: {reason}" in done.stderr and "defect" not in done.stderr


def test_a_file_of_github_that_cannot_be_written_is_an_error_that_names_it(attached):
    attached.variables["GITHUB_ENV"] = str(attached.root)
    done = attached.run("env", "--shell", "github")
    assert done.returncode == 2
    assert f"cannot write {attached.root}: is a directory" in done.stderr


@pytest.mark.parametrize("option", ["--remote-header", "--remote-cache-header", "--remote-exec-header"])
def test_consumer_env_knows_the_headers_of_the_call_and_writes_none(machine, option):
    path = machine.root / "env"
    profile = ("cluster-cache", "--cache-endpoint", "grpc://cache.example:9092", "--write", str(path))
    done = machine.run("consumer-env", *profile, option, "x-token=c4nary")
    assert done.returncode == 2 and f"{option} is a secret" in done.stderr
    assert "c4nary" not in done.stderr and not path.exists()
