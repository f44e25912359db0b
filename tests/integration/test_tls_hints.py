"""Each hint about TLS that names an option, a setting or a command: it is followed, and the cause is gone."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from gfattach.nix.authorities import BUNDLES
from tests.harness.caches.reapi_server import reapi
from tests.harness.certificates.pki import answering, others, pki, server_context
from tests.harness.certificates.tls_front import front
from tests.harness.machine.developer import findings
from tests.harness.machine.nixes import each_nix, private_environment, real_nix, untouched
from tests.harness.machine.ports import free_port
from tests.harness.substituters import binary_caches as nix_caches

__all__ = ["each_nix", "others", "pki", "untouched"]

KEY = str(nix_caches.KEY.public_key)


def substituter(pair):
    """A cache with a signed path, over TLS."""
    infos = (nix_caches.probe_info(), nix_caches.signed(nix_caches.signed_info(), nix_caches.KEY))
    return nix_caches.serving(nix_caches.publishing(*infos), server_context(pair))


@contextlib.contextmanager
def bazel_cache(pair):
    with reapi() as (plain, _), front(pair, plain) as port:
        yield port


def ask(machine, *options):
    """What an `up` finds, whatever it ends with."""
    done = machine.run("up", *options, "--output", "json")
    assert "Traceback" not in done.stderr, done.stderr
    return findings(json.loads(done.stdout))


def hints_of(found, probe):
    return "\n".join(found[probe]["hints"])


#: How a server's certificate can lack an authority that is trusted: the code, the certificate, what to name.
UNTRUSTED = {
    "self-signed": lambda pki, others: (pki.issue("localhost", self_signed=True), None),
    "authority-missing": lambda pki, others: (others.issue("localhost"), others.ca),
}


@pytest.mark.parametrize("by", ["option", "file"])
@pytest.mark.parametrize("word", UNTRUSTED)
def test_the_substituters_authority_is_named_as_the_hint_says(machine, pki, others, word, by):
    pair, authority = UNTRUSTED[word](pki, others)
    named = authority or pair.certificate
    with substituter(pair) as port:
        site: tuple[str, ...] = ("--substituter", f"https://localhost:{port}", "--public-key", KEY)
        site += ("--no-bazel", "--no-nix")
        found = ask(machine, *site)
        assert found["certificates.substituter.trust"]["code"] == f"certificates.trust.{word}"
        hints = hints_of(found, "certificates.substituter.trust")
        assert "--substituter-ca-file FILE" in hints and "nix.ca_file in gfattach.toml" in hints
        assert "--ca-file" not in hints.replace("--substituter-ca-file", "")
        if by == "option":
            site += ("--substituter-ca-file", str(named))
        else:
            machine.write_site(f"[nix]\nca_file = '{named}'\n")
        found = ask(machine, *site)
    assert found["certificates.substituter.trust"]["status"] == "ok"
    assert found["substituter.info"]["status"] == "ok"


@pytest.mark.parametrize("by", ["option", "file"])
@pytest.mark.parametrize("word", UNTRUSTED)
def test_the_caches_authority_is_named_as_the_hint_says(machine, pki, others, word, by):
    pair, authority = UNTRUSTED[word](pki, others)
    named = authority or pair.certificate
    with bazel_cache(pair) as port:
        site: tuple[str, ...] = ("--cache", f"grpcs://localhost:{port}", "--no-bazel", "--no-nix")
        found = ask(machine, *site)
        assert found["certificates.cache.trust"]["code"] == f"certificates.trust.{word}"
        hints = hints_of(found, "certificates.cache.trust")
        assert "--ca-file FILE" in hints and "cache.ca_file in gfattach.toml" in hints
        assert "--substituter-ca-file" not in hints
        if by == "option":
            site += ("--ca-file", str(named))
        else:
            machine.write_site(f"[cache]\nca_file = '{named}'\n")
        found = ask(machine, *site)
    assert found["certificates.cache.trust"]["status"] == "ok"
    assert found["cache.capabilities"]["status"] == "ok"


def test_a_cache_is_asked_by_the_name_of_its_certificate(machine, pki):
    with bazel_cache(pki.issue("localhost")) as port:
        site = ("--ca-file", str(pki.ca), "--no-bazel", "--no-nix", "--cache")
        found = ask(machine, *site, f"grpcs://127.0.0.1:{port}")
        assert found["certificates.cache.name"]["code"] == "certificates.name.other"
        assert "use its name, if it is the right server: localhost" in hints_of(
            found, "certificates.cache.name"
        )
        found = ask(machine, *site, f"grpcs://localhost:{port}")
    assert found["cache.capabilities"]["status"] == "ok"


def test_a_plaintext_scheme_is_used_where_the_hint_says_so(machine):
    with reapi() as (port, _):
        site = ("--no-bazel", "--no-nix", "--cache")
        found = ask(machine, *site, f"grpcs://127.0.0.1:{port}")
        assert found["certificates.cache.handshake"]["code"] == "certificates.handshake.plaintext"
        assert "use the plaintext scheme (grpc, http)" in hints_of(found, "certificates.cache.handshake")
        found = ask(machine, *site, f"grpc://127.0.0.1:{port}")
    assert found["cache.capabilities"]["status"] == "ok"


def test_a_tls_scheme_is_used_where_the_hint_says_so(machine, pki):
    with bazel_cache(pki.issue("localhost")) as port:
        site = ("--ca-file", str(pki.ca), "--no-bazel", "--no-nix", "--cache")
        found = ask(machine, *site, f"grpc://localhost:{port}")
        assert found["cache.protocol"]["code"] == "cache.protocol.tls-for-plain"
        [right] = re.findall(r"use (grpcs://\S+)", hints_of(found, "cache.protocol"))
        found = ask(machine, *site, right)
    assert found["cache.capabilities"]["status"] == "ok"


def test_protocols_that_do_not_meet_are_no_wrong_name(machine, pki, tmp_path):
    """A server that ends the handshake with the alert of ALPN: what it says is not cut off."""
    pair = pki.issue("localhost")
    command = ["openssl", "s_server", "-accept", "0", "-alpn", "spdy/1", "-quiet"]
    command += ["-cert", str(pair.certificate), "-key", str(pair.key)]
    port = free_port()
    command[command.index("0")] = str(port)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            site = (
                "--cache",
                f"grpcs://localhost:{port}",
                "--ca-file",
                str(pki.ca),
                "--no-bazel",
                "--no-nix",
            )
            found = ask(machine, *site)["certificates.cache.handshake"]
        finally:
            process.kill()
    assert found["code"] == "certificates.handshake.alpn"
    assert "no application protocol" in found["seen"] and "_ssl" not in found["seen"]
    assert "name" not in found["why"]


def wait_for_port(port):
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        time.sleep(0.05)
    raise AssertionError("it does not listen")


# The API server, whose authority and name stand in the kubeconfig.


def kubeconfig(machine, port, **cluster):
    path = machine.root / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": f"https://127.0.0.1:{port}", **cluster}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "me"}}],
        "users": [{"name": "me", "user": {"token": "t"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def set_cluster(machine, path, setting):
    """What `kubectl config set-cluster lab SETTING` does; kubectl itself where it is there."""
    if (kubectl := shutil.which("kubectl")) is not None:
        command = [kubectl, "--kubeconfig", str(path), "config", "set-cluster", "lab", setting]
        subprocess.run(command, check=True, env=machine.environment, capture_output=True)
        return
    document = yaml.safe_load(path.read_text())
    name, _, value = setting.removeprefix("--").partition("=")
    document["clusters"][0]["cluster"][name] = value
    path.write_text(yaml.safe_dump(document))


def test_the_api_servers_authority_is_set_as_the_hint_says(machine, pki, others):
    with answering(server_context(pki.issue("kubernetes", "127.0.0.1"))) as port:
        path = kubeconfig(machine, port, **{"certificate-authority": str(others.ca)})
        found = ask(machine, "--kubeconfig", str(path))
        assert found["cluster.tls"]["code"] == "cluster.tls.untrusted"
        hints = hints_of(found, "cluster.tls")
        assert "--ca-file" not in hints + hints_of(found, "certificates.api-server.trust")
        [setting] = re.findall(r"kubectl config set-cluster NAME (--certificate-authority=)FILE", hints)
        set_cluster(machine, path, f"{setting}{pki.ca}")
        found = ask(machine, "--kubeconfig", str(path))
    assert found["cluster.tls"]["code"] == "cluster.tls.ok"


def test_the_api_servers_name_is_set_as_the_hint_says(machine, pki):
    with answering(server_context(pki.issue("kubernetes", "kubernetes.default"))) as port:
        path = kubeconfig(machine, port, **{"certificate-authority": str(pki.ca)})
        found = ask(machine, "--kubeconfig", str(path))
        assert found["cluster.tls"]["code"] == "cluster.tls.name"
        [setting] = re.findall(r"set-cluster NAME (--tls-server-name=\S+)", hints_of(found, "cluster.tls"))
        set_cluster(machine, path, setting)
        found = ask(machine, "--kubeconfig", str(path))
    assert found["cluster.tls"]["code"] == "cluster.tls.ok"


# Nix itself: by the fragment where it can be told (2.15 and later), else as the hint says.


@pytest.mark.nix
@pytest.mark.usefixtures("untouched")
def test_a_real_nix_takes_the_substituter_once_its_authority_is_named(machine, pki, each_nix):
    if not any(path.exists() for path in BUNDLES):
        pytest.skip("needs a bundle of authorities: apt-get install ca-certificates")
    nix = real_nix()
    private = private_environment(machine.root / "nix")
    machine.variables |= {name: value for name, value in private.items() if name.startswith("NIX_")}
    machine.variables["PATH"] = os.environ["PATH"]
    with substituter(pki.issue("localhost")) as port:
        url = f"https://localhost:{port}"
        site = ("--substituter", url, "--public-key", KEY, "--no-bazel", "--substituter-ca-file", str(pki.ca))
        found = ask(machine, *site)
        if found["nix.ca"]["code"] == "nix.ca.lacks":
            for hint in found["nix.ca"]["hints"]:
                command = hint.partition(": ")[2] if hint.startswith("make") else hint
                if command.startswith("export NIX_SSL_CERT_FILE="):
                    machine.variables["NIX_SSL_CERT_FILE"] = command.partition("=")[2]
                else:
                    subprocess.run(["sh", "-c", command], check=True, env=machine.environment)
            found = ask(machine, *site)
        assert found["nix.ca"]["code"] == "nix.ca.ok"
        fragment = (machine.workspace / ".gfattach/nix.conf").read_text()
        named = re.findall(r"^ssl-cert-file = (.*)$", fragment, re.MULTILINE)
        if named:  # it holds what Nix trusted before, and the site's
            content = Path(named[0]).read_text()
            assert pki.ca.read_text().strip() in content
            assert next(path for path in BUNDLES if path.exists()).read_text().strip() in content
        else:
            assert "NIX_SSL_CERT_FILE" in machine.variables
        store = machine.root / "empty"
        config = f"!include {machine.workspace / '.gfattach/nix.conf'}"
        done = subprocess.run(
            [
                str(nix.path.with_name("nix-store")),
                "--store",
                f"local?root={store}",
                "--realise",
                str(nix_caches.SIGNED),
            ],
            env={**machine.environment, "NIX_CONFIG": config},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    assert machine.run("down").returncode == 0
    assert not (machine.workspace / ".gfattach/nix-authorities.pem").exists()
