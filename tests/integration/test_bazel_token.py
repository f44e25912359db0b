"""A cache that asks for a token, attached with a stored one: every call has it, Bazel's too.

The Bazels that can be had here (Debian's 4.2.3, and 2.1.0) know no credential helpers: what a newer one is
given is held in tests/unit/test_bazel_token.py, and the helper's protocol in test_credential_command.py.
"""

import contextlib
import json
import shutil

import grpc
import pytest

from tests.harness.caches.reapi_server import reapi

pytestmark = [
    pytest.mark.bazel,
    pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap"),
]

TOKEN = "c4nary-of-the-private-cache"


@contextlib.contextmanager
def private_cache():
    """A cache that answers UNAUTHENTICATED without the token; its port, and who asked with and without."""
    with reapi() as (port, state):
        serve = state.serve
        asked = {True: set(), False: set()}

        def guarded(name, message, context):
            sent = dict(context.invocation_metadata())
            good = sent.get("authorization") == f"Bearer {TOKEN}"
            asked[good].add(sent.get("user-agent", "").partition("/")[0])
            if not good:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "a token is needed")
            return serve(name, message, context)

        state.serve = guarded  # type: ignore[method-assign]
        yield port, asked


def test_without_a_token_it_is_not_attached_and_with_one_every_call_has_it(machine):
    with private_cache() as (port, asked):
        site = ("--cache", f"grpc://127.0.0.1:{port}", "--no-nix")
        refused = machine.run("up", *site, "--output", "json")
        assert refused.returncode == 1
        assert not (machine.workspace / ".gfattach/bazelrc").exists()
        assert asked[False] and not asked[True]
        asked[False].clear()
        (machine.root / "token").write_text(TOKEN)
        stored = machine.run(
            "credential", "login", "127.0.0.1", "--store", "file", "--from-file", str(machine.root / "token")
        )
        assert stored.returncode == 0, stored.stderr
        assert "gfattach credential login 127.0.0.1" in refused.stdout
        for command in (("up", *site), ("prove", "--no-nix"), ("status",)):
            done = machine.run(*command, "--output", "json")
            document = json.loads(done.stdout)
            assert done.returncode in (0, 4), done.stderr  # 4: nothing was there to hit
            findings = {f["code"]: f for s in document["stages"] for f in s["findings"]}
            assert "credential.cache.found" in findings
            assert TOKEN not in done.stdout + done.stderr
            if command[0] == "up":
                assert findings["credential.bazel.no-helper"]["status"] == "warn"
        assert asked[False] == set()
        assert any(agent.startswith("grpc-python") for agent in asked[True])  # the probes and the protocol
        assert any(agent.startswith("grpc-java") for agent in asked[True])  # Bazel
        assert TOKEN not in (machine.workspace / ".gfattach/bazelrc").read_text()
        assert TOKEN not in (machine.state / "attachment.json").read_text()
        assert machine.run("down").returncode == 0


def test_a_token_that_has_expired_leaves_the_bazel_half_unattached_and_says_so(machine):
    with private_cache() as (port, asked):
        directory = machine.root / "home/.local/state/gfattach/credentials"
        (machine.root / "token").write_text(TOKEN)
        file = str(machine.root / "token")
        machine.run("credential", "login", "127.0.0.1", "--store", "file", "--from-file", file)
        (directory / "tokens.json").write_text(json.dumps({"127.0.0.1": "e30.eyJleHAiOjF9.e30"}))
        done = machine.run("up", "--cache", f"grpc://127.0.0.1:{port}", "--no-nix")
        assert done.returncode == 2, done.stderr
        assert "the token for 127.0.0.1 from the file" in done.stderr and "expired" in done.stderr
        assert "gfattach credential login 127.0.0.1" in done.stderr
        assert "Traceback" not in done.stderr and asked == {True: set(), False: set()}
