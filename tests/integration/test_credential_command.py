"""`gfattach credential` as a person and as Bazel run it: stores, sources, the helper's protocol."""

import json
import os
import pty
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gfattach.credential.helper import write_helper
from gfattach.credential.jwt import rfc3339
from tests.harness.machine.budget import budget
from tests.harness.machine.credentials import good_jwt, jwt
from tests.harness.machine.developer import make_machine

CANARY = "canary-1f0c9a"
EXCHANGES = json.loads((Path(__file__).parent / "data/credential_helper.json").read_text())["exchanges"]


class Shell:
    """A machine whose gfattach is given something on stdin."""

    def __init__(self, machine):
        self.machine = machine

    def __call__(self, *args, stdin="", keyring=None, seconds=60, **variables):
        environment = {**self.machine.environment, **variables}
        if keyring:
            environment["PYTHON_KEYRING_BACKEND"] = f"tests.harness.machine.keyrings.{keyring}"
            environment["TEST_KEYRING"] = str(self.machine.root / "keyring.json")
        command = [sys.executable, "-m", "gfattach", "credential", *args]
        return subprocess.run(
            command,
            cwd=self.machine.workspace,
            env=environment,
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            timeout=seconds,
        )

    def store(self, host, token, **options):
        done = self("login", host, "--store", "file", stdin=token, **options)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def gfattach(tmp_path):
    return Shell(make_machine(tmp_path))


def said(done):
    """What a failure said: no traceback, no token, and nothing on stdout."""
    text = done.stdout.decode() + done.stderr.decode()
    assert "Traceback" not in text and "defect" not in text, text
    assert CANARY not in text and "eyJ" not in text, text
    return text


# The keyring


def test_a_token_goes_into_the_keyring_comes_back_and_is_forgotten(gfattach):
    done = gfattach("login", "cache.example", stdin=f"{CANARY}\n", keyring="Working")
    assert done.returncode == 0 and "stored the token for cache.example in the keyring" in said(done)
    ring = gfattach.machine.root / "keyring.json"
    assert json.loads(ring.read_text()) == {"gfattach cache.example": CANARY}
    question = '{"uri": "https://cache.example/"}'
    answer = json.loads(gfattach("get", stdin=question, keyring="Working").stdout)
    assert answer == {"headers": {"Authorization": [f"Bearer {CANARY}"]}}
    assert "cache.example  in the keyring" in said(gfattach("status", keyring="Working"))
    assert "forgot" in said(gfattach("logout", "cache.example", keyring="Working"))
    assert json.loads(ring.read_text()) == {}
    assert json.loads(gfattach("get", stdin=question, keyring="Working").stdout) == {"headers": {}}
    assert "there was no token" in said(gfattach("logout", "cache.example", keyring="Working"))


@pytest.mark.parametrize(
    ("keyring", "code"),
    [
        ("Hanging", "credential.keyring.silent"),
        ("Locked", "credential.keyring.locked"),
        ("Missing", "credential.keyring.missing"),
        ("Talkative", "credential.keyring.failed"),
        ("Forgetful", "credential.keyring.lost"),
    ],
)
def test_a_keyring_that_cannot_be_used_is_said_within_seconds(gfattach, keyring, code):
    began = time.monotonic()
    done = gfattach("login", "cache.example", "-o", "json", stdin=CANARY, keyring=keyring, seconds=30)
    assert time.monotonic() - began < budget(20)
    said(done)
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]["code"]) == (2, code)
    assert any("--store file" in hint for hint in document["error"]["hints"])
    assert "no token is stored" in said(gfattach("status"))


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring", "keyring.backends.null.Keyring"])
def test_no_keyring_at_all_is_said_and_names_the_file(gfattach, backend):
    done = gfattach("login", "cache.example", stdin=CANARY, PYTHON_KEYRING_BACKEND=backend)
    assert done.returncode == 2
    assert "this machine has no keyring" in said(done) and "--store file" in said(done)


@pytest.mark.parametrize(("keyring", "words"), [("Hanging", "no answer within 3 s"), ("Locked", "is locked")])
def test_bazels_question_and_the_status_do_not_wait_for_a_keyring_for_ever(gfattach, keyring, words):
    assert gfattach("login", "cache.example", stdin=CANARY, keyring="Working").returncode == 0
    got = gfattach("get", stdin='{"uri": "https://cache.example/"}', keyring=keyring, seconds=30)
    assert got.returncode == 1 and got.stdout == b"" and words in said(got)
    status = gfattach("status", keyring=keyring, seconds=30)
    assert status.returncode == 2 and words in said(status)


def test_a_token_moves_from_one_store_to_the_other(gfattach):
    assert gfattach("login", "cache.example", stdin="first-token", keyring="Working").returncode == 0
    gfattach.store("cache.example", CANARY, keyring="Working")
    assert json.loads((gfattach.machine.root / "keyring.json").read_text()) == {}
    assert CANARY.encode() in gfattach("get", stdin='{"uri": "https://cache.example/"}').stdout


# Where a token is read from


def test_a_token_is_read_from_a_file_a_variable_or_a_prompt(gfattach):
    file = gfattach.machine.root / "token"
    file.write_text(f"{CANARY}-file\n")
    store = ("--store", "file")
    assert gfattach("login", "a.example", *store, "--from-file", str(file)).returncode == 0
    assert gfattach("login", "b.example", *store, "--from-file", "-", stdin=f"{CANARY}-stdin").returncode == 0
    done = gfattach("login", "c.example", *store, "--from-env", "MINE", MINE=f"{CANARY}-variable")
    assert done.returncode == 0
    terminal, far = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "gfattach", "credential", "login", "d.example", *store],
        cwd=gfattach.machine.workspace,
        env=gfattach.machine.environment,
        stdin=far,
        stdout=far,
        stderr=far,
        start_new_session=True,
    )
    os.close(far)
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, f"{CANARY}-prompt\n".encode())
    while True:
        try:
            shown += os.read(terminal, 1000)
        except OSError:
            break
    assert child.wait(30) == 0
    os.close(terminal)
    assert CANARY.encode() not in shown
    directory = gfattach.machine.root / "home/.local/state/gfattach/credentials"
    kept = json.loads((directory / "tokens.json").read_text())
    origins = {"a": "file", "b": "stdin", "c": "variable", "d": "prompt"}
    assert kept == {f"{name}.example": f"{CANARY}-{origin}" for name, origin in origins.items()}


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "credential.token.empty"),
        (f"{CANARY}\n{CANARY}", "credential.token.space"),
        (f"Bearer {CANARY}", "credential.token.space"),
        (CANARY * 8000, "credential.token.long"),
        (f"{CANARY}\0", "credential.token.binary"),
        (jwt(exp=1_000_000_000, sub="me"), "credential.expired"),
        (good_jwt(30), "credential.expired"),
        (jwt(nbf=4_000_000_000), "credential.not-yet"),
    ],
    ids=lambda value: value if value.startswith("credential.") else "token",  # one is of this second
)
def test_a_token_that_cannot_be_used_is_refused_when_it_is_stored(gfattach, token, code):
    done = gfattach("login", "cache.example", "--store", "file", "-o", "json", stdin=token)
    said(done)
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, code)
    assert not (gfattach.machine.root / "home/.local/state/gfattach/credentials/tokens.json").exists()


def test_a_file_that_is_missing_or_cannot_be_read_is_named(gfattach):
    for file in (str(gfattach.machine.root / "none"), "/proc/self/mem", str(gfattach.machine.root)):
        done = gfattach("login", "cache.example", "--store", "file", "--from-file", file)
        assert done.returncode == 2 and f"the file {file} cannot be read" in said(done)


OPAQUE = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV41"


@pytest.mark.parametrize(
    "args",
    [
        ("cache.example", CANARY),
        ("cache.example", "--token", CANARY),
        ("cache.example", f"--token={CANARY}"),
        ("cache.example", f"--password={CANARY}", "--store", "file"),
        (good_jwt(sub=CANARY),),
        ("cache.example", "--from-file", good_jwt(sub=CANARY)),
        ("cache.example", "--from-env", f"{CANARY}!"),
        ("cache.example", "--from-env", OPAQUE),
        ("cache.example", "--from-file", OPAQUE),
        (f"https://me:{CANARY}@cache.example",),
    ],
)
@pytest.mark.parametrize("output", ["text", "json", "github"])
def test_a_token_on_the_command_line_is_refused_and_not_repeated(gfattach, args, output):
    done = gfattach("login", *args, "--output", output)
    assert done.returncode == 2
    assert "a token does not belong on a command line" in said(done)
    assert OPAQUE not in said(done)


def test_what_is_merely_missing_or_misspelt_is_said_as_such(gfattach):
    assert "HOST is missing" in said(gfattach("login"))
    assert "no such option" in said(gfattach("login", "--stor"))
    both = gfattach("login", "cache.example", "--from-env", "A", "--from-file", "b")
    assert "name two tokens" in said(both)
    assert "the variable NOT_SET is not set" in said(gfattach("login", "a.example", "--from-env", "NOT_SET"))


# Status


def test_status_shows_what_a_token_says_and_never_the_token(gfattach):
    gfattach.store("a.example", good_jwt(sub="ci", aud="cache", scope="read", canary=CANARY))
    gfattach.store("b.example", CANARY)
    cell = {"GF_REAPI_CREDENTIAL_HELPER_TOKEN": good_jwt(sub="pod")}
    text = said(gfattach("status", **cell))
    assert "subject ci · audience cache · expires in 1 h 59 min · scopes read" in text
    assert "b.example  in the file" in text
    assert "gf-reapi-cell*  in the variable GF_REAPI_CREDENTIAL_HELPER_TOKEN  subject pod" in text
    done = gfattach("status", "-o", "json", **cell)
    said(done)
    rows = {row["host"]: row for row in json.loads(done.stdout)["result"]["credentials"]}
    assert rows["a.example"]["store"] == "file" and rows["a.example"]["problem"] is None
    assert rows["a.example"]["jwt"]["audience"] == ["cache"] and rows["b.example"]["jwt"] is None


def test_status_names_what_cannot_be_used(gfattach):
    gfattach.store("a.example", CANARY)
    tokens = gfattach.machine.root / "home/.local/state/gfattach/credentials/tokens.json"
    tokens.write_text(json.dumps({"a.example": jwt(exp=1_000_000_000)}))
    done = gfattach("status")
    assert done.returncode == 2 and "[credential.expired]" in said(done)
    tokens.chmod(0o644)
    assert "[credential.file.open]" in said(gfattach("status"))
    both = {"GF_REAPI_CREDENTIAL_HELPER_TOKEN": CANARY, "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE": "/x"}
    assert "[credential.cell.both]" in said(gfattach("status", **both))


# The helper


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """Bazel's view: one executable, started in a workspace, with tokens in the private file."""
    shell = Shell(make_machine(tmp_path_factory.mktemp("helper")))
    expires = int(time.time()) + 7200
    dated = jwt(exp=expires)
    shell.store("cache.example", CANARY)
    shell.store("dated.example", dated)
    names = {"TOKEN": CANARY, "JWT": dated, "EXPIRES": rfc3339(expires)}
    return shell, write_helper(shell.machine.root / "bin"), names


def ask(shell, program, args, question):
    return subprocess.run(
        [str(program), *args],
        cwd=shell.machine.workspace,
        env=shell.machine.environment,
        input=question.encode(),
        capture_output=True,
        timeout=30,
    )


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["name"])
def test_the_recorded_exchanges_of_the_protocol_hold(helper, exchange):
    shell, program, names = helper
    done = ask(shell, program, exchange["args"], exchange["stdin"])
    if "error" in exchange:
        assert done.returncode == 1 and done.stdout == b""
        assert exchange["error"] in said(done)
        return
    expected = json.dumps(exchange["answer"])
    for name, value in names.items():
        expected = expected.replace(name, value)
    assert done.returncode == 0 and done.stderr == b""
    assert json.loads(done.stdout) == json.loads(expected)


def test_it_is_private_and_imports_nothing_from_the_workspace_that_it_runs_in(helper):
    shell, program, _ = helper
    assert stat.S_IMODE(program.stat().st_mode) == 0o700
    assert len(program.read_text().splitlines()) == 2
    for name in ("json.py", "gfattach.py", "re.py"):
        (shell.machine.workspace / name).write_text("raise SystemExit('the workspace was imported')\n")
    done = ask(shell, program, ["get"], '{"uri": "https://cache.example/"}')
    assert CANARY.encode() in done.stdout, done.stderr


def test_a_helper_for_a_forward_answers_for_its_host_and_for_nobody_else(helper):
    shell, _, _ = helper
    program = write_helper(shell.machine.root / "forward", "cache.example")
    for uri, answered in (
        ("http://127.0.0.1:4711/", True),
        ("grpc://127.3.4.5:1/", True),
        ("https://cache.example/", True),
        ("https://dated.example/", False),
        ("https://127.0.0.1.example/", False),
    ):
        done = ask(shell, program, ["get"], json.dumps({"uri": uri}))
        assert (CANARY.encode() in done.stdout) is answered, done.stderr
        assert done.returncode == 0


def test_a_helper_for_a_forward_answers_no_other_port_of_this_machine(helper):
    """A build may name any address: somebody else's server on this machine is not the forward."""
    shell, _, _ = helper
    listener = socket.create_server(("127.0.0.1", 0))  # of this user: what a forward's listener is
    port = listener.getsockname()[1]
    program = write_helper(shell.machine.root / "forward", "cache.example", port)
    for uri, answered in (
        (f"https://127.0.0.1:{port}/build.bazel.remote.execution.v2.Capabilities", True),
        ("https://127.0.0.1/", True),
        ("https://cache.example:8443/", True),
        ("http://127.0.0.1:8000/archive.tar.gz", False),
        ("http://localhost:1/", False),
        ("http://[::1]:8000/", False),
    ):
        done = ask(shell, program, ["get"], json.dumps({"uri": uri}))
        assert (CANARY.encode() in done.stdout) is answered, uri
        assert done.returncode == 0
    listener.close()


def test_an_answer_loads_nothing_heavy(helper):
    shell, _, _ = helper
    script = (
        "import os, sys; from gfattach.credential.helper import main;"
        "code = main([], os.environ, sys.stdin.buffer, sys.stdout, sys.stderr);"
        "print([m for m in ('grpc', 'httpx', 'kubernetes', 'keyring', 'click', 'asyncio')"
        " if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=shell.machine.environment,
        input=b'{"uri": "https://cache.example/"}',
        capture_output=True,
    )
    assert done.returncode == 0 and done.stderr.strip() == b"[]"


def test_the_helps_of_the_commands_are_there(gfattach):
    for command in ("login", "logout", "status", "get"):
        done = gfattach(command, "--help")
        assert done.returncode == 0 and f"gfattach credential {command}".encode() in done.stdout
