"""Our own TLS contexts take what Bazel, Nix and kubectl take, on every Python: seen in real handshakes
with certificates that the `openssl` command makes."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from gfattach.agent.model.spec import Health
from gfattach.agent.upstream.tls import context_for
from gfattach.nixcache.authorities import tls_context
from gfattach.tls import context

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl: apt-get install openssl"
)

CA = "basicConstraints=critical,CA:TRUE"
LEAF = "subjectAltName=DNS:cache.test"

#: Extensions of the authority and of the leaf that it signs: what people's commands make, and what is refused
#: by Python's own context from 3.13 on.
TAKEN = {
    "plain openssl req -x509: no key usage": (CA, f"{LEAF}\nauthorityKeyIdentifier=keyid"),
    "no authority key identifier in the leaf": (f"{CA}\nkeyUsage=critical,keyCertSign", LEAF),
    "neither, and no subject key identifier": (
        f"{CA}\nsubjectKeyIdentifier=none",
        f"{LEAF}\nsubjectKeyIdentifier=none",
    ),
    "basic constraints that are not critical": ("basicConstraints=CA:TRUE", LEAF),
    "the leaf says that it is no authority": (CA, f"{LEAF}\nbasicConstraints=CA:FALSE"),
    "all that RFC 5280 asks for": (
        f"{CA}\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash",
        f"{LEAF}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash",
    ),
}

CONTEXTS = {
    "cache": lambda ca: context.verifying(ca),
    "nix cache": lambda ca: tls_context(ca, {}),
    "agent": lambda ca: context_for(Health("http", tls=True, ca_file=ca)),
}


def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)


def make(directory, authority, leaf):
    """An authority `ca.pem` and a leaf `leaf.pem` for cache.test that it signed, each with its extensions."""
    request = "[req]\ndistinguished_name=dn\nx509_extensions=own\nprompt=no\n[dn]\nCN=own authority\n[own]\n"
    (directory / "ca.cnf").write_text(f"{request}{authority}\n")
    (directory / "leaf.cnf").write_text(f"{leaf}\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        directory,
        "req",
        "-x509",
        *key,
        "-config",
        "ca.cnf",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "9",
    )
    openssl(directory, "req", *key, "-subj", "/CN=cache.test", "-keyout", "leaf.key", "-out", "leaf.csr")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "leaf.cnf", "-days", "8")
    openssl(directory, "x509", "-req", "-in", "leaf.csr", *signing, "-out", "leaf.pem")


def shake_hands(directory, client, name="cache.test"):
    """A handshake with a server that has the leaf. Raises what the client's side raises."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "leaf.pem", directory / "leaf.key")
    near, far = socket.socketpair()

    def serve():
        try:
            with server.wrap_socket(far, server_side=True) as session:
                session.recv(1)
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as session:
            session.sendall(b"x")
    finally:
        near.close()
        thread.join()


@pytest.mark.parametrize("use", CONTEXTS)
@pytest.mark.parametrize("case", TAKEN)
def test_what_the_clients_take_is_taken(case, use, tmp_path):
    make(tmp_path, *TAKEN[case])
    shake_hands(tmp_path, CONTEXTS[use](tmp_path / "ca.pem"))


@pytest.mark.parametrize("use", CONTEXTS)
def test_a_leaf_that_is_given_as_an_authority_ends_its_chain(use, tmp_path):
    make(tmp_path, CA, LEAF)
    shake_hands(tmp_path, CONTEXTS[use](tmp_path / "leaf.pem"))


@pytest.mark.parametrize("use", CONTEXTS)
def test_another_authority_and_another_name_are_refused_as_before(use, tmp_path):
    (tmp_path / "other").mkdir()
    make(tmp_path, CA, LEAF)
    make(tmp_path / "other", CA, LEAF)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, CONTEXTS[use](tmp_path / "other/ca.pem"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, CONTEXTS[use](tmp_path / "ca.pem"), name="another.test")
