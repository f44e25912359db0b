"""A token that is planted wherever one may come from turns up nowhere that others can look.

Looked at are the arguments of every process while gfattach, its embedded caches and a real Bazel run, the
environments of those that need no secret, and afterwards every file that is left, and every word that was
printed.
"""

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gfattach.bazel.probe_workspace import LABEL, write_probe

needs_bazel = pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")

#: One canary for each place, so that a leak names where it came from.
PLACES = ("keyring", "store", "file", "variable", "cell", "header", "attic", "url", "proxy")
CANARIES = {place: f"c4nary-{place}-5e0b1c9d7a" for place in PLACES}

#: What may hold one: the stores themselves, the file that it was read from, and the keyring that is a file.
KEEPERS = {"tokens.json", "token-file", "keyring.json"}


#: Processes whose environment holds nothing secret: by their program, and by what is among their arguments.
BARE = ("git", "ps")
BACKGROUND = (b"gfattach.trial", b"gfattach.agent", b"gfattach-watchdog")


class Watch:
    """Reads the arguments of all processes until it is told to stop, and the environments of those that
    need nothing secret: what stays in the background, and what Bazel and Nix are not.

    `programs` are those it saw, `bare` those whose environment it saw: without any it proves nothing.
    """

    def __init__(self):
        self.leaks = set()
        self.programs = set()
        self.bare = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def _run(self):
        while not self._stop.wait(0.005):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    self._look(entry)

    def _look(self, entry):
        try:
            arguments = (entry / "cmdline").read_bytes()
        except OSError:
            return
        program = arguments.split(b"\0")[0].rpartition(b"/")[2].decode(errors="replace")
        self.programs.add(program)
        shown = arguments
        background = next((name for name in BACKGROUND if name in arguments), b"")
        if program in BARE or background:
            try:
                shown += (entry / "environ").read_bytes()
            except OSError:
                return
            self.bare.add(background.decode() or program)
        for place, canary in CANARIES.items():
            if canary.encode() in shown:
                self.leaks.add((place, arguments[:300]))


def found_in_files(root):
    """Every file below `root` that holds a canary, with the place whose canary it is."""
    found = set()
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file() or path.name in KEEPERS:
            continue
        content = path.read_bytes()
        found |= {(str(path.relative_to(root)), p) for p, c in CANARIES.items() if c.encode() in content}
    return found


PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def planted(machine):
    """The machine's variables with a canary in each that may hold one."""
    return {
        "GF_REAPI_CREDENTIAL_HELPER_TOKEN": CANARIES["cell"],
        "BAZEL_REMOTE_CACHE_HEADER": f"x-canary={CANARIES['header']}",
        "ATTIC_TOKEN": CANARIES["attic"],
        **dict.fromkeys(PROXIES, f"http://me:{CANARIES['proxy']}@127.0.0.1:1"),
        "no_proxy": "127.0.0.1,localhost",
        "PYTHON_KEYRING_BACKEND": "tests.harness.machine.keyrings.Working",
        "TEST_KEYRING": str(machine.root / "keyring.json"),
    }


def run(machine, *args, stdin="", **variables):
    return subprocess.run(
        [sys.executable, "-m", "gfattach", *args],
        cwd=machine.workspace,
        env={**machine.environment, **variables},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture
def storing(machine):
    """A machine with a canary in every store and every variable, and all that was printed so far."""
    machine.variables |= planted(machine)
    (machine.root / "token-file").write_text(CANARIES["file"])
    store = ("--store", "file")
    done = [
        run(machine, "credential", "login", "keyring.example", stdin=CANARIES["keyring"]),
        run(machine, "credential", "login", "127.0.0.1", *store, stdin=CANARIES["store"]),
        run(
            machine,
            "credential",
            "login",
            "f.example",
            *store,
            "--from-file",
            str(machine.root / "token-file"),
        ),
        run(
            machine,
            "credential",
            "login",
            "v.example",
            *store,
            "--from-env",
            "MINE",
            MINE=CANARIES["variable"],
        ),
    ]
    assert [each.returncode for each in done] == [0] * 4, [each.stderr for each in done]
    return machine, [each.stdout + each.stderr for each in done]


def clean(words):
    text = "\n".join(words)
    assert "Traceback" not in text
    return [place for place, canary in CANARIES.items() if canary in text] == []


@needs_bazel
@pytest.mark.bazel
def test_a_run_of_everything_shows_a_token_to_nobody(storing):
    machine, words = storing
    write_probe(machine.workspace)
    (machine.workspace / "user.bazelrc").write_text(
        f"startup --output_user_root={machine.root / 'user-root'}\nbuild --symlink_prefix=/\n"
    )
    with Watch() as watch:
        try:
            summary = machine.root / "summary.md"
            commands = [
                ("up", "--trial", "--no-nix", "-v"),
                ("prove", "--no-nix", "--output", "github"),
                ("status", "--output", "json"),
                ("bazel", "build", LABEL),
                ("contract", "--output", "json"),
                ("credential", "status"),
                ("credential", "status", "--output", "json"),
                ("env", "--shell", "json"),
            ]
            for command in commands:
                done = run(machine, *command, GITHUB_STEP_SUMMARY=str(summary))
                assert done.returncode == 0, done.stderr
                words.append(done.stdout + done.stderr)
            (own,) = (machine.root / "run/gfattach").glob("headers-*.bazelrc")
            private, mode = own.read_text(), stat.S_IMODE(own.stat().st_mode)
        finally:
            words.append(run(machine, "bazel", "shutdown").stderr)
    assert summary.read_text().count("\n") > 5
    assert {"bazel", "sh"} & watch.programs and len(watch.programs) > 3
    assert "gfattach.trial" in watch.bare
    assert watch.leaks == set()
    assert clean(words)
    # The private rc of the run is where the token is meant to be, and it is gone with the next run.
    assert f"authorization=Bearer {CANARIES['store']}" in private and mode == 0o600
    assert not own.exists()
    assert machine.run("down").returncode == 0
    # A Bazel without helpers notes options and environment in a log of its own, below its output root:
    # docs/security.md says so. Nothing else is left of them.
    left = {(file, place) for file, place in found_in_files(machine.root) if "/java.log." not in file}
    assert left == set(), left


def test_a_bazel_that_builds_nothing_is_given_no_token(storing):
    machine, _ = storing
    program = machine.root / "fake-bazel"
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@"; for w; do case "$w" in --b*=*) cat "${w#*=}"; esac; done\n'
    )
    program.chmod(0o755)
    done = run(machine, "bazel", "info", BAZEL_BIN=str(program), BAZEL_REMOTE_CACHE="grpc://cache.example:1")
    assert "info" in done.stdout and clean([done.stdout + done.stderr])


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize("output", ["text", "json", "github"])
def test_what_other_programs_say_is_shown_without_the_token_in_it(machine, debug, output):
    """A defect whose message holds tokens by shape, by name, and as a value that was read before."""
    script = f"""
import sys
from gfattach.operator import credentials
from gfattach.credential.sources import check
def status(context):
    check(b"{CANARIES["store"]}", "stdin")
    words = "https://u:{CANARIES["url"]}@h refused {CANARIES["store"]}"
    raise {{}}(words + ", Authorization: Bearer {CANARIES["header"]}")
credentials.status = status
sys.argv = ["gfattach", "credential", "status", "--output", "{output}"]
from gfattach.__main__ import main
main()
"""
    for error in ("ValueError", "__import__('gfattach.core.errors').core.errors.CredentialError"):
        variables = {"GFATTACH_DEBUG": debug} if debug else {}
        done = subprocess.run(
            [sys.executable, "-c", script.replace("{}", error)],
            env={**machine.environment, **variables},
            capture_output=True,
            text=True,
        )
        text = done.stdout + done.stderr
        assert done.returncode in (1, 2) and "refused ***" in text and "https://***@h" in text
        assert [p for p in ("url", "store", "header") if CANARIES[p] in text] == [], text
