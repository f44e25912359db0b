"""`prove --target` under the contract: what its variables say to `gfattach bazel`, they say to a proof."""

import shutil

import pytest

pytestmark = [
    pytest.mark.bazel,
    pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap"),
]

#: Writes down what Bazel is given in the workspace: arguments, variables, and what its rc files say.
WRAPPER = """#!/bin/sh
{ printf '%s\\n' "$@"; env | sed 's/^/env /'
for word; do case "$word" in --bazelrc=*) sed 's/^/rc /' "${word#--bazelrc=}";; esac; done; } >> {seen}
exec "$BAZEL_REAL" "$@"
"""


@pytest.fixture
def attached(machine):
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    seen = machine.root / "seen"
    wrapper = machine.workspace / "tools" / "bazel"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.replace("{seen}", str(seen)))
    wrapper.chmod(0o755)
    machine.json("site", "allow")
    rule = 'genrule(name = "own", outs = ["own.txt"], cmd = "echo own > $@")\n'
    (machine.workspace / "BUILD.bazel").write_text(rule)
    return machine, seen


def test_a_target_is_measured_with_the_variables_of_the_contract(attached):
    machine, seen = attached
    machine.variables |= {
        "BAZEL_REPOSITORY_CACHE": str(machine.root / "repositories"),
        "BAZEL_DISTDIR": f"{machine.root}/d1:{machine.root}/d2",
        "BAZEL_REMOTE_MAX_CONNECTIONS": "7",
        "BAZEL_REMOTE_CACHE_HEADER": "x-canary=c4nary",
    }
    document = machine.json("prove", "--target", "//:own", code=4)
    assert document["result"]["verdict"] == "nothing-to-hit"
    lines = seen.read_text().splitlines()
    for option in (
        f"--repository_cache={machine.root}/repositories",
        f"--distdir={machine.root}/d1",
        f"--distdir={machine.root}/d2",
        "--remote_max_connections=7",
        "rc build --remote_cache_header=x-canary=c4nary",
    ):
        assert option in lines, option
    # The header is in the private rc of the run and nowhere else, and nothing of that is left.
    assert all(line.startswith("rc ") for line in lines if "c4nary" in line)
    assert not list(machine.root.rglob("headers*.bazelrc"))


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("BAZEL_REMOTE_CACHE", "grpc://cache.example:9092", 2, "bazel.other-cache"),
        ("BAZEL_REMOTE_MAX_CONNECTIONS", "many", 3, "contract.value.number"),
    ],
)
def test_a_target_is_not_measured_where_a_build_would_be_refused(attached, name, value, code, said):
    machine, seen = attached
    machine.variables[name] = value
    assert machine.json("prove", "--target", "//:own", code=code)["error"]["code"] == said
    assert not seen.exists()
