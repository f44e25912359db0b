"""An authority that a plain `openssl req -x509` made, and a leaf without authority key identifier, are taken
by every TLS context that there is, as Bazel, Nix and kubectl take them; on each Python that is here."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gfattach
from tests.harness.certificates.pki import Pair, answering, server_context
from tests.harness.machine.developer import ROOT
from tests.harness.programs import Kind, environments, of_kind

#: Makes each of our contexts for the authority in argv[1], and shakes hands with the port in argv[2].
CLIENT = """
import socket, ssl, sys
from pathlib import Path
from gfattach.agent.model.spec import Health
from gfattach.agent.upstream.tls import context_for
from gfattach.net.connect import _either
from gfattach.nixcache.authorities import tls_context
from gfattach.tls.context import trusting, verifying
file, port = Path(sys.argv[1]), int(sys.argv[2])
contexts = {
    "a file": trusting(file),
    "Bazel's cache": verifying(file, alpn=("http/1.1",)),
    "Nix's cache": tls_context(file, {}),
    "Nix's cache by the environment": tls_context(None, {"NIX_SSL_CERT_FILE": str(file)}),
    "the agent": context_for(Health("http", "/", True, "server.test", file)),
    "a proxy": _either([ssl.PEM_cert_to_DER_cert(file.read_text())]),
}
for name, context in contexts.items():
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname, name
    with socket.create_connection(("127.0.0.1", port)) as plain:
        context.wrap_socket(plain, server_hostname="server.test").close()
    print(name)
"""


def openssl(*args, **more):
    subprocess.run(["openssl", *args], check=True, capture_output=True, **more)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """An authority without key usage and key identifiers, and a leaf that it signed, by openssl itself."""
    room = tmp_path_factory.mktemp("openssl")
    config = room / "config"
    config.write_text(
        "[req]\ndistinguished_name = n\n[n]\n[ca]\nbasicConstraints = CA:TRUE\n"
        "[leaf]\nsubjectAltName = DNS:server.test\nauthorityKeyIdentifier = none\n"
    )
    common = ("-newkey", "rsa:2048", "-nodes", "-config", str(config))
    ca, ca_key = room / "ca.pem", room / "ca.key"
    openssl("req", "-x509", *common, "-subj", "/CN=lab", "-extensions", "ca", "-keyout", ca_key, "-out", ca)
    request, key, leaf = room / "leaf.csr", room / "leaf.key", room / "leaf.pem"
    openssl("req", "-new", *common, "-subj", "/CN=server", "-keyout", key, "-out", request)
    signed = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "30", "-extfile", config)
    openssl("x509", "-req", "-in", request, *signed, "-extensions", "leaf", "-out", leaf)
    return ca, Pair(leaf, key)


#: This Python, and those that the tests fetched: None where one could not be.
PYTHONS = {f"this ({sys.version.split()[0]})": None, **of_kind(Kind.PYTHON)}


@pytest.fixture(params=PYTHONS)
def python(request):
    """The interpreter, in an environment with gfattach."""
    program = PYTHONS[request.param]
    if request.param.startswith("this"):
        return sys.executable
    if program is None:
        pytest.skip(f"needs {request.param}: python3 -m tests.harness.programs.fetch")
    return environments.ensure(program, ROOT)


def test_a_plain_authority_is_taken_by_every_context(plain, python):
    ca, pair = plain
    with answering(server_context(pair)) as port:
        done = subprocess.run(
            [python, "-c", CLIENT, str(ca), str(port)],
            env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6


def test_no_context_is_made_by_what_is_stricter_from_one_python_to_the_next():
    made = [
        f"{path.name}:{node.lineno}"
        for path in Path(gfattach.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("create_default_context", "VERIFY_X509_STRICT")
    ]
    assert [place for place in made if not place.startswith(("context.py", "trust.py"))] == []
