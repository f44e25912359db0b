"""Whatever a kubeconfig holds, it becomes a connection or a ClusterError, in bounded time and memory."""

import json
import string
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.kubeconfig.yamltext import YamlError, parse
from gfattach.core.errors import ClusterError
from tests.harness.cluster.kubeconfig_files import resolved

FUZZ = settings(max_examples=200)

SYNTAX = "&a *a <<: [ ] { } , ' \" --- ... !x ? : - | > # ~ 0x 1_0 1e999 .nan users: token: %YAML"
SPACED = (
    "\n",
    "\t",
    " ",
    "\x00",
    "\ufeff",
    "- name: u\n",
    "  user: {",
    "---\n",
    "!!binary ",
    "? ",
    ": ",
    "- ",
)
FIELDS = """
    name user users cluster clusters context contexts current-context server token tokenFile exec
    command args env value apiVersion kind proxy-url as as-groups as-user-extra
    certificate-authority certificate-authority-data client-certificate-data client-key-data
    client-key insecure-skip-tls-verify tls-server-name extensions extension namespace username
    password auth-provider interactiveMode provideClusterInfo
"""
VALUES = """
    c u here https://a:1 http://[::1] // a:b@c YQ== ../x /dev/zero /proc/self/mem socks5://p Never v1 Config
    client.authentication.k8s.io/v1 no-such-program
"""
FRAGMENTS = st.sampled_from([*SYNTAX.split(), *SPACED])
KEYS = st.sampled_from(FIELDS.split())
WORDS = st.sampled_from(VALUES.split())
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | WORDS
    | st.sampled_from(["a\0b", "half \ud800 a character"])
)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=25,
)


def verdict(content: bytes) -> str:
    """What the resolver makes of a kubeconfig; any other error than its own fails the test."""
    with TemporaryDirectory() as directory:
        file = Path(directory, "config")
        file.write_bytes(content)
        try:
            found = resolved(file, PATH="/nonexistent", XDG_RUNTIME_DIR=directory, seconds=2.0)
        except ClusterError as error:
            assert error.code.startswith("cluster.")
            assert error.fact
            assert "Error" not in error.fact
            return error.code
        assert isinstance(found, ClusterConnection)
        assert all("\r" not in value and "\n" not in value for pair in found.headers for value in pair)
        return "connection"


@FUZZ
@given(st.binary(max_size=400))
def test_bytes(content):
    verdict(content)


@FUZZ
@given(st.lists(FRAGMENTS | st.text(string.printable, max_size=4), max_size=40))
def test_pieces_of_yaml(pieces):
    verdict("".join(pieces).encode())


@FUZZ
@given(DOCUMENTS)
def test_structures(document):
    verdict(json.dumps(document).encode())


@FUZZ
@given(
    st.dictionaries(KEYS, LEAVES | DOCUMENTS, max_size=5),
    st.dictionaries(KEYS, LEAVES | DOCUMENTS, max_size=5),
    st.dictionaries(KEYS, LEAVES, max_size=3),
)
def test_entries_of_a_kubeconfig_that_is_one_otherwise(user, cluster, context):
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://a:1", **cluster}}],
        "users": [{"name": "u", "user": {"token": "t", **user}}],
    }
    verdict(json.dumps(document).encode())


@FUZZ
@given(st.text(string.printable, max_size=60), st.sampled_from(['"', "'", "|", ">"]))
def test_text_in_yaml_comes_back_as_it_was(text, style):
    import yaml

    written = yaml.safe_dump({"a": text}, default_style=style, width=10**6)
    assert parse(written.encode()) == {"a": text}


@pytest.mark.parametrize(
    ("piece", "times"),
    [
        ("[", 2_000_000),
        ("{a: ", 500_000),
        ("- ", 1_000_000),
        ("? ", 1_000_000),
        ("[[],\n", 500_000),
        ("a\n", 1_000_000),
        ('{"a":', 300_000),
        ("&a ", 500_000),
        ("'", 3_000_000),
        ("1", 3_000_000),
        ("- 1\n", 800_000),
    ],
)
def test_the_worst_of_a_few_megabytes_ends_in_a_child_with_little_memory(piece, times):
    """In a child: what would go wrong is a crash of the interpreter."""
    limit = 700 * 1024 * 1024
    script = (
        f"import resource, sys\nresource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))\n"
        "from gfattach.cluster.kubeconfig.yamltext import parse, YamlError\n"
        "try:\n    parse(sys.stdin.buffer.read())\nexcept YamlError:\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=(piece * times).encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_merges_give_way_to_the_mappings_own_keys_and_the_first_of_several_counts():
    text = b"x: &x {a: 1, b: 1, c: 1}\ny: &y {b: 2, d: 2}\nz: {<<: [*y, *x], a: 3}"
    assert parse(text)["z"] == {"a": 3, "b": 2, "c": 1, "d": 2}


def test_an_error_knows_its_line():
    with pytest.raises(YamlError) as caught:
        parse(b"a: 1\nb: [\nc: }\n")
    assert caught.value.line == 3
