"""Stage "substituter": for every code a cache on loopback that earns it, over real sockets and TLS."""

import base64
import contextlib
import datetime
import ipaddress
import json
import lzma
import os
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import replace

import httpx  # noqa: F401  a first import would count against the shortened deadlines
import pytest

from gfattach.endpoint import Endpoint, parse_endpoint
from gfattach.engine import Run
from gfattach.finding import Stage, Status
from gfattach.nix.isolated import IsolatedStore
from gfattach.nixcache import narinfo
from gfattach.nixcache.hashes import Hash
from gfattach.nixcache.nar import Regular, serialise
from gfattach.nixcache.signature import PublicKey
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter import STAGE
from gfattach.trial.nix_server import SIGNED as DERIVATION
from gfattach.trial.nix_server import NixCacheServer
from tests.integration import faults
from tests.integration.nix_caches import (
    ARCHIVE,
    INFO,
    KEY,
    OTHER_KEY,
    PROBE,
    SIGNED,
    after,
    answer,
    described,
    hang,
    hang_up,
    probe_info,
    publishing,
    redirect,
    serving,
    signed,
    signed_info,
)

TRUSTED = str(KEY.public_key)
PATHS = {
    "info": "/nix-cache-info",
    "narinfo": f"/{SIGNED.digest}.narinfo",
    "nar": "/nar/signed.nar.xz",
}
HTML = answer(b"<!doctype html><title>Sign in</title>", kind="text/html")
#: How Attic refuses a name that is not among its allowed hosts.
BAD_HOST = answer(
    b'{"code":400,"error":"RequestError","message":"General request error: Bad Host"}',
    400,
    "application/json",
)
ACCESS_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return faults.Authority(tmp_path_factory.mktemp("authority"))


class Rig:
    """What a case arranges a cache with; all of it ends with the test."""

    def __init__(self, stack, tmp_path, authority, monkeypatch):
        self.stack = stack
        self.tmp_path = tmp_path
        self.authority = authority
        self.monkeypatch = monkeypatch
        self.seconds = 20.0
        self.path = SIGNED

    def target(self, port, scheme="http", host="127.0.0.1", **options):
        options = {"public_keys": (TRUSTED,), "probe_path": str(self.path)} | options
        return SubstituterTarget(Endpoint(scheme, host, port), **options)

    def cache(self, routes, scheme="http", context=None, **options):
        """A target whose cache has `routes`."""
        if scheme == "https":
            context = context or self.authority.context("127.0.0.1")
            options = {"ca_file": self.authority.ca} | options
        return self.target(self.stack.enter_context(serving(routes, context)), scheme, **options)

    def published(self, *infos, **options):
        """A target whose cache has `infos` and their NARs; the signed path is what is asked for."""
        return self.cache(publishing(*infos), **options)

    def good(self, **changes):
        """The routes of a cache with the signed path, some of them changed (by the end of a probe's name)."""
        routes = publishing(signed(signed_info(), KEY))
        return routes | {PATHS[name]: reply for name, reply in changes.items()}

    def talking(self, handle, **options):
        """A target at a bare socket."""
        return self.target(self.stack.enter_context(faults.talking(handle)), **options)

    def soon(self):
        """Shorten the deadlines: what is silent is silent however long one waits."""
        self.seconds = 1.0

    def proxied(self, proxy):
        self.monkeypatch.setenv("http_proxy", proxy)


# The way there.


def _proxied(rig):
    port = rig.stack.enter_context(serving(rig.good()))
    rig.proxied(f"http://127.0.0.1:{port}")
    return rig.target(80, host="cache.invalid")


def _proxy_before_loopback(rig):
    rig.proxied("http://127.0.0.1:9")
    return rig.cache(rig.good())


def _bad_proxy(rig):
    rig.proxied("gopher://user:s3cret@127.0.0.1:9")
    return rig.target(80, host="cache.invalid")


def _no_name_server(rig):
    """No name server on this machine can be made not to answer, so the resolver's verdict is given here."""

    def unanswered(*args, **options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    rig.monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    return rig.target(80, host="cache.invalid")


def _full_queue(rig):
    """A listener that nobody accepts from and whose queue is full: the kernel drops what comes."""
    rig.soon()
    listener = rig.stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        waiting = rig.stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            waiting.connect(listener.getsockname())
    return rig.target(listener.getsockname()[1])


REACH = {
    "substituter.proxy.ok": lambda rig: rig.cache(rig.good()),
    "substituter.proxy.used": _proxied,
    "substituter.proxy.loopback": _proxy_before_loopback,
    "substituter.proxy.unusable": _bad_proxy,
    "substituter.resolve.ok": lambda rig: rig.cache(rig.good()),
    "substituter.resolve.unknown": lambda rig: rig.target(80, host="a" * 64 + ".svc.cluster.local"),
    "substituter.resolve.unanswered": _no_name_server,
    "substituter.port.ok": lambda rig: rig.cache(rig.good()),
    "substituter.port.refused": lambda rig: rig.target(rig.stack.enter_context(faults.refusing())),
    "substituter.port.silent": _full_queue,
    # TCP has no way to a multicast address, whatever routes there are.
    "substituter.port.unreachable": lambda rig: rig.target(80, host="224.0.0.1"),
}


# The protocol.


def _expired(rig):
    """A certificate that is trusted, made for the right address, and over since yesterday."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now - datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = rig.tmp_path / "expired.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return rig.cache(rig.good(), "https", context, ca_file=path)


def _wants_certificate(rig):
    context = rig.authority.context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(rig.authority.ca)
    return rig.cache(rig.good(), "https", context)


def _silent_port(rig):
    rig.soon()
    return rig.talking(hang)


def _no_authority(rig):
    return rig.cache(rig.good(), "https", ca_file=rig.tmp_path / "missing.pem")


def _plaintext(rig):
    """A server that waits for the end of the line that it takes the greeting for, as many do."""
    rig.seconds = 3.0
    return rig.target(rig.cache(rig.good()).endpoint.port, "https")


PROTOCOL = {
    "substituter.protocol.ok": lambda rig: rig.cache(rig.good(), "https"),
    "substituter.protocol.proxied": _proxied,
    "substituter.protocol.tls": lambda rig: replace(
        rig.cache(rig.good(), "https"),
        endpoint=replace(rig.cache(rig.good(), "https").endpoint, scheme="http"),
    ),
    "substituter.protocol.plaintext": _plaintext,
    "substituter.protocol.name": lambda rig: rig.cache(
        rig.good(), "https", rig.authority.context("other.example")
    ),
    "substituter.protocol.expired": _expired,
    "substituter.protocol.untrusted": lambda rig: rig.cache(rig.good(), "https", ca_file=None),
    "substituter.protocol.handshake": _wants_certificate,
    "substituter.protocol.closed": lambda rig: rig.talking(hang_up),
    "substituter.protocol.silent": _silent_port,
    "substituter.protocol.other": lambda rig: rig.talking(faults.saying(b"SSH-2.0-OpenSSH_9\r\n")),
    "substituter.protocol.unusable": _no_authority,
}


# What every request may run into: the same for the info, a narinfo and a NAR.


def _fault(name, reply):
    return lambda rig: rig.cache(rig.good(**{name: reply}))


def _silent_at(name):
    def arrange(rig):
        rig.soon()
        return _from_the_second(name, hang)(rig)

    return arrange


def _from_the_second(name, reply):
    """The probe of the protocol asks for the info first, and gets it."""

    def arrange(rig):
        good = rig.good()
        first = 1 if name == "info" else 0
        return rig.cache(good | {PATHS[name]: after(first, good[PATHS[name]], reply)})

    return arrange


def _untrusted_from(handshake):
    """TLS with a certificate that is trusted, until the connection of that number."""

    def arrange(rig):
        right = rig.authority.context("127.0.0.1")
        wrong = faults.Authority(rig.tmp_path).context("127.0.0.1")
        return rig.cache(rig.good(), "https", lambda number: right if number < handshake else wrong)

    return arrange


def _authority_gone_after(path, times):
    """The authority's file is there until `path` has been asked for so many times."""

    def arrange(rig):
        file = rig.tmp_path / "ca.pem"
        shutil.copy(rig.authority.ca, file)
        routes = rig.good()
        reply = routes[path]

        def take_away(connection):
            file.unlink(missing_ok=True)
            connection.sendall(reply)

        return rig.cache(routes | {path: after(times - 1, reply, take_away)}, "https", ca_file=file)

    return arrange


def _bad_header(rig):
    return rig.cache(rig.good(), headers=(("X-Token", "s3cret\r\n"),))


ELSEWHERE = redirect("http://minio.storage.invalid/bucket/file?X-Amz-Signature=s3cret")


def _faults(name, handshake, unusable):
    return {
        f"substituter.{name}.unauthorised": _fault(name, answer(b"who are you\n", 401)),
        f"substituter.{name}.forbidden": _fault(name, answer(b"not for you\n", 403)),
        f"substituter.{name}.error": _fault(name, answer(b"upstream\n", 503)),
        f"substituter.{name}.status": _fault(name, answer(b"teapot\n", 418)),
        f"substituter.{name}.bad-host": _fault(name, BAD_HOST),
        f"substituter.{name}.in-cluster": _fault(name, ELSEWHERE),
        f"substituter.{name}.redirect": _fault(name, redirect(PATHS[name])),
        f"substituter.{name}.silent": _silent_at(name),
        f"substituter.{name}.broken": _from_the_second(name, hang_up),
        f"substituter.{name}.tls": _untrusted_from(handshake),
        f"substituter.{name}.unusable": unusable,
    }


# What is served.

SIGNED_FIELDS = described(ARCHIVE, lzma.compress(ARCHIVE))


def _damaged(**changes):
    """A cache whose narinfo, well signed, says something else of the NAR than it is."""
    return lambda rig: rig.published(signed(signed_info(**changes), KEY))


def _nothing(rig):
    return rig.cache({"/nix-cache-info": answer(INFO)})


def _mismatch(rig):
    body = narinfo.render(signed(signed_info(), KEY))
    return rig.cache({"/nix-cache-info": answer(INFO), f"/{PROBE.digest}.narinfo": answer(body)},
                     probe_path=str(PROBE))  # fmt: skip


CONTENT = {
    "substituter.info.ok": lambda rig: rig.cache(rig.good()),
    "substituter.info.mass-query": lambda rig: rig.cache(rig.good(info=answer(b"StoreDir: /nix/store\n"))),
    "substituter.info.absent": lambda rig: rig.cache({}),
    "substituter.info.store": lambda rig: rig.cache(rig.good(info=answer(b"StoreDir: /gnu/store\n"))),
    **_faults("info", 1, _bad_header),
    "substituter.info.login": _fault("info", HTML),
    "substituter.info.malformed": _fault("info", answer(b"hello\n")),
    "substituter.info.large": _fault("info", answer(INFO + b"X: y\n" * 20_000)),
    "substituter.narinfo.ok": lambda rig: rig.cache(rig.good()),
    "substituter.narinfo.absent": _nothing,
    "substituter.narinfo.signed-absent": lambda rig: rig.published(
        probe_info(), probe_path=str(PROBE), signed_path=str(SIGNED)
    ),
    "substituter.narinfo.hidden": _fault("narinfo", answer(ACCESS_DENIED, 403, "application/xml")),
    "substituter.narinfo.mismatch": _mismatch,
    **_faults("narinfo", 2, _authority_gone_after(PATHS["info"], 2)),
    "substituter.narinfo.login": _fault("narinfo", HTML),
    "substituter.narinfo.malformed": _fault("narinfo", answer(b"hello\n")),
    "substituter.narinfo.large": _fault("narinfo", answer(b"X: y\n" * 220_000)),
    "substituter.nar.ok": lambda rig: rig.cache(rig.good()),
    "substituter.nar.nothing": _nothing,
    "substituter.nar.large": _damaged(nar_size=17 * 1024 * 1024),
    "substituter.nar.compression": _damaged(compression="br"),
    "substituter.nar.absent": _fault("nar", answer(b"", 404)),
    "substituter.nar.truncated": _fault("nar", answer(lzma.compress(ARCHIVE)[:40], length=144)),
    "substituter.nar.corrupt": _fault("nar", HTML),
    "substituter.nar.size": _fault("nar", answer(lzma.compress(serialise(Regular(b"another"))))),
    "substituter.nar.hash": _fault("nar", answer(lzma.compress(ARCHIVE[:-8] + b"x" * 8))),
    **_faults("nar", 3, _authority_gone_after(PATHS["narinfo"], 1)),
}


# Signatures.

SAME_KEY_OTHER_NAME = str(PublicKey("renamed-1", KEY.public_key.raw))
OTHER_KEY_SAME_NAME = str(PublicKey(KEY.name, OTHER_KEY.public_key.raw))
NO_SIGNATURE = ("test-1:AAAA",)


def _signed_by(*keys, trusted=(TRUSTED,)):
    return lambda rig: rig.published(signed(signed_info(store_path=rig.path), *keys), public_keys=trusted)


SIGNATURE = {
    "substituter.signature.ok": _signed_by(OTHER_KEY, KEY),
    "substituter.signature.nothing": _nothing,
    "substituter.signature.no-keys": _signed_by(KEY, trusted=()),
    "substituter.signature.key-malformed": _signed_by(KEY, trusted=(TRUSTED, "test-1:AAAA")),
    "substituter.signature.unproved": lambda rig: rig.published(probe_info(), probe_path=str(PROBE)),
    "substituter.signature.unsigned": _signed_by(),
    "substituter.signature.malformed": lambda rig: rig.published(
        replace(signed_info(store_path=rig.path), signatures=NO_SIGNATURE)
    ),
    "substituter.signature.unknown-key": _signed_by(OTHER_KEY),
    "substituter.signature.wrong-key": _signed_by(KEY, trusted=(OTHER_KEY_SAME_NAME,)),
    "substituter.signature.key-name": _signed_by(KEY, trusted=(SAME_KEY_OTHER_NAME,)),
    "substituter.signature.content-address": lambda rig: rig.published(
        signed(signed_info(content_address=probe_info().content_address), KEY)
    ),
}


# Attic.

CONFIG = "/_api/v1/cache-config/main"


def attic_says(rig, keys=(TRUSTED,), **config):
    """A cache below /main, and what its Attic says of it: a public cache, unless it says otherwise."""
    routes = {path if path == CONFIG else f"/main{path}": reply for path, reply in rig.good().items()}
    said = {"public_key": TRUSTED, "is_public": True, "store_dir": "/nix/store", "priority": 41, **config}
    routes[CONFIG] = answer(json.dumps(said).encode(), kind="application/json")
    target = rig.cache(routes, public_keys=keys)
    return replace(target, endpoint=replace(target.endpoint, path="/main"))


def _elsewhere(rig):
    """The address of a cache that is not on this machine, asked through a proxy."""
    target = attic_says(rig, substituter_endpoint="https://cache.example/main")
    rig.proxied(target.endpoint.url.removesuffix("/main"))
    return replace(target, endpoint=replace(target.endpoint, host="cache.invalid", port=80))


def _attic_broken(rig):
    target = attic_says(rig)
    routes = {f"/main{path}": reply for path, reply in rig.good().items()} | {CONFIG: answer(b"", 503)}
    return replace(target, endpoint=replace(rig.cache(routes).endpoint, path="/main"))


def token(rights=None, lasts=3600.0):
    """A token as Attic makes them, with nobody's signature."""
    claim = {"https://jwt.attic.rs/v1": {"caches": {"*": rights or {}}}, "exp": time.time() + lasts}
    parts = ({"alg": "HS256", "typ": "JWT"}, claim)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*texts, "c2ln"))


def _with_token(text):
    return lambda rig: rig.cache(rig.good(), headers=(("Authorization", f"Bearer {text}"),))


ATTIC = {
    "substituter.attic.ok": attic_says,
    "substituter.attic.other": lambda rig: rig.cache(rig.good()),
    "substituter.attic.unset": lambda rig: attic_says(rig, keys=()),
    "substituter.attic.key": lambda rig: attic_says(rig, public_key=str(OTHER_KEY.public_key)),
    "substituter.attic.key-name": lambda rig: attic_says(rig, public_key=SAME_KEY_OTHER_NAME),
    "substituter.attic.endpoint": _elsewhere,
    "substituter.attic.unanswered": _attic_broken,
}
TOKEN = {
    "substituter.token.none": lambda rig: rig.cache(rig.good()),
    "substituter.token.ok": _with_token(token({"r": 1})),
    "substituter.token.opaque": _with_token("s3cret"),
    "substituter.token.expired": _with_token(token({"r": 1}, lasts=-86400 * 3)),
    "substituter.token.writes": _with_token(token({"r": 1, "w": 1})),
    "substituter.token.rights": _with_token(token()),
}
STORE = {
    "substituter.store.unsaid": lambda rig: rig.cache(rig.good()),
    "substituter.store.ok": lambda rig: rig.cache(rig.good(), object_store="durable"),
    "substituter.store.interim": lambda rig: rig.cache(rig.good(), object_store="interim_only"),
}

CASES = {**REACH, **PROTOCOL, **CONTENT, **SIGNATURE, **ATTIC, **TOKEN, **STORE}


@pytest.fixture
def rig(tmp_path, authority, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "NIX_SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with contextlib.ExitStack() as stack:
        yield Rig(stack, tmp_path, authority, monkeypatch)


def ask(target, seconds=20.0):
    probes = tuple(replace(probe, seconds=seconds) for probe in STAGE.probes)
    return Run().stage(Stage(STAGE.name, STAGE.title, probes), target).findings


def test_every_code_that_is_declared_has_a_case_and_no_other_has():
    assert set(CASES) == {code for probe in STAGE.probes for code in probe.codes}


@pytest.mark.parametrize("code", sorted(CASES))
def test_the_code_is_given_for_the_cache_that_earns_it(rig, code):
    target = CASES[code](rig)
    findings = ask(target, rig.seconds)
    probe = code.rpartition(".")[0]
    assert findings[probe].code == code, findings[probe]
    for name, finding in findings.items():
        # What does not pass says why, and what to do next; nothing is ever a defect of the probes.
        assert finding.code.startswith(f"{name}.") or finding.code == "engine.needs", finding
        if finding.status in (Status.WARN, Status.FAIL):
            assert finding.why and finding.hints, finding
        said = (finding.seen, finding.why, *finding.hints)
        assert "s3cret" not in f"{said} {finding.data}"
        for text in filter(None, said):
            assert not text.endswith("."), text
            assert "\n" not in text


def test_what_fails_ends_what_depends_on_it(rig):
    findings = ask(rig.target(rig.stack.enter_context(faults.refusing())))
    asked = [name for name, finding in findings.items() if finding.status is not Status.SKIP]
    unasked = ["substituter.store", "substituter.token"]  # they are answered here, and ask nobody
    assert asked == [*unasked, "substituter.proxy", "substituter.resolve", "substituter.port"]


def test_the_trial_passes_all_of_it(tmp_path, rig):
    with NixCacheServer(tmp_path / "trial") as server:
        target = SubstituterTarget(
            parse_endpoint(server.url), (server.public_key,), signed_path=server.signed_path
        )
        findings = ask(target)
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert findings["substituter.signature"].data["path"] == server.signed_path
    assert set(findings["substituter.nar"].data["hops"]) == {server.signed_path, server.probe_path}


def test_a_cache_with_nothing_published_is_attached_all_the_same(rig):
    """Nothing to hit is no failure: the operator's next command is what helps."""
    findings = ask(rig.cache({"/nix-cache-info": answer(INFO)}, probe_path=str(PROBE)))
    assert not [finding for finding in findings.values() if finding.failed]
    assert findings["substituter.narinfo"].status is Status.WARN
    assert "gfattach-probe-v1" in findings["substituter.narinfo"].hints[0]


@pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
def test_the_command_that_an_operator_is_given_makes_the_probe_path(rig, tmp_path):
    hint = ask(_nothing(rig))["substituter.narinfo"].hints[0]
    command = hint.removeprefix("operator: ")
    with IsolatedStore(tmp_path, {}) as store:
        done = subprocess.run(
            ["sh", "-c", f"{command}; echo $P"], env=store.environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == str(PROBE), done.stderr
        assert (store.root / str(PROBE)[1:]).exists()


#: What Nix makes of a failure: it goes on without the cache and says so, or says nothing, or ends.
WITHOUT_THE_CACHE = "don't know how to build"
NIX_DOES = [
    ("resolve", "unknown", "Couldn't resolve host name"),
    ("port", "refused", "Couldn't connect to server"),
    ("port", "silent", "Timeout was reached"),
    ("protocol", "tls", "warning: unable to download"),
    ("protocol", "plaintext", "warning: unable to download"),
    ("protocol", "untrusted", "SSL peer certificate"),
    ("protocol", "name", "SSL peer certificate"),
    ("protocol", "expired", "SSL peer certificate"),
    ("protocol", "handshake", "warning: unable to download"),
    ("protocol", "closed", "warning: unable to download"),
    ("protocol", "silent", "Timeout was reached"),
    ("protocol", "other", "warning: unable to download"),
    ("info", "absent", "does not appear to be a binary cache"),
    ("info", "store", "is for Nix stores with prefix '/gnu/store', not '/nix/store'"),
    ("info", "unauthorised", "does not appear to be a binary cache"),
    ("info", "forbidden", "does not appear to be a binary cache"),
    ("info", "error", "warning: unable to download"),
    ("info", "status", "warning: unable to download"),
    ("info", "bad-host", "warning: unable to download"),
    ("info", "in-cluster", "warning: unable to download"),
    ("info", "redirect", "warning: unable to download"),
    ("narinfo", "unauthorised", ""),
    ("narinfo", "forbidden", ""),
    ("narinfo", "hidden", ""),
    ("narinfo", "absent", ""),
    ("narinfo", "mismatch", "error: "),
    ("narinfo", "error", "error: unable to download"),
    ("narinfo", "status", "error: unable to download"),
    ("narinfo", "bad-host", "error: unable to download"),
    ("narinfo", "broken", "error: unable to download"),
    ("narinfo", "in-cluster", "error: unable to download"),
    ("narinfo", "redirect", "error: unable to download"),
    ("narinfo", "login", "is corrupt"),
    ("narinfo", "malformed", "is corrupt"),
    ("nar", "unauthorised", "does not exist in binary cache"),
    ("nar", "absent", "does not exist in binary cache"),
    ("nar", "error", "error: unable to download"),
    ("nar", "bad-host", "error: unable to download"),
    ("nar", "in-cluster", "error: unable to download"),
    ("nar", "redirect", "error: unable to download"),
    ("nar", "truncated", "error: unable to download"),
    ("nar", "corrupt", "error: "),
    ("nar", "size", "error: "),
    ("nar", "hash", "error: "),
]


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
@pytest.mark.parametrize(("name", "end", "says"), NIX_DOES)
def test_what_a_finding_says_of_nix_is_what_nix_does(rig, tmp_path, name, end, says):
    target = CASES[f"substituter.{name}.{end}"](rig)
    finding = ask(target, rig.seconds)[f"substituter.{name}"]
    assert finding.code == f"substituter.{name}.{end}"
    settings = {
        "substituters": target.endpoint.url,
        "trusted-public-keys": " ".join(target.public_keys),
        "download-attempts": "1",
        "connect-timeout": "2",
        "stalled-download-timeout": "2",
    }
    authority = {} if target.ca_file is None else {"NIX_SSL_CERT_FILE": str(target.ca_file)}
    with IsolatedStore(tmp_path / "nix", settings, variables=authority) as store:
        done = subprocess.run(
            ["nix-store", "-r", target.probe_path],
            env=store.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode != 0
    assert says in done.stderr
    # A Nix that goes on without the cache comes to say that there is nothing to build the path of.
    ends = "ends the build" in finding.why
    assert (WITHOUT_THE_CACHE in done.stderr) == (not ends)
    if "says nothing" in finding.why:
        assert done.stderr.startswith(WITHOUT_THE_CACHE)


#: A derivation that needs nothing to be built.
EXPRESSION = (
    f'derivation {{ name = "{DERIVATION.name}"; system = "builtin"; builder = "builtin:buildenv"; '
    'derivations = [ ]; manifest = "/dev/null"; }'
)

#: What Nix says of a signature, and whether it goes on and builds what it could have fetched.
NOT_SIGNED = "is not signed by any of the keys in 'trusted-public-keys'"
NIX_SAYS_OF_A_SIGNATURE = [
    ("unsigned", NOT_SIGNED, True),
    ("wrong-key", NOT_SIGNED, True),
    ("unknown-key", NOT_SIGNED, True),
    ("key-name", NOT_SIGNED, True),
    ("no-keys", NOT_SIGNED, True),
    ("malformed", "error: signature is not valid", False),
    ("key-malformed", "error: public key is not valid", False),
]


@pytest.mark.skipif(shutil.which("nix-build") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
@pytest.mark.parametrize(("end", "says", "builds"), NIX_SAYS_OF_A_SIGNATURE)
def test_what_a_finding_says_of_a_signature_is_what_nix_does(rig, tmp_path, end, says, builds):
    """Asked for a derivation that it could build as well, whose output the cache offers."""
    rig.path = DERIVATION.output_path
    target = SIGNATURE[f"substituter.signature.{end}"](rig)
    finding = ask(target)["substituter.signature"]
    assert finding.code == f"substituter.signature.{end}"
    settings = {
        "substituters": target.endpoint.url,
        "trusted-public-keys": " ".join(target.public_keys),
        "max-jobs": "1",
    }
    with IsolatedStore(tmp_path / "nix", settings) as store:
        args = ["nix-build", "--no-out-link", "-E", EXPRESSION]
        done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
    assert says in done.stderr
    assert (done.returncode == 0) == builds == ("builds it here" in finding.why), finding.why


@pytest.mark.skipif(shutil.which("nix-build") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
def test_a_narinfo_that_fails_ends_even_a_build_that_needs_no_cache(rig, tmp_path):
    codes = {}
    for status in (403, 404, 503):
        target = rig.cache({"/nix-cache-info": answer(INFO), "*": answer(b"", status)})
        settings = {"substituters": target.endpoint.url, "download-attempts": "1", "max-jobs": "1"}
        with IsolatedStore(tmp_path / str(status), settings) as store:
            args = ["nix-build", "--no-out-link", "-E", EXPRESSION]
            done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
        codes[status] = done.returncode
    assert (codes[403], codes[404]) == (0, 0)
    assert codes[503] != 0


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
def test_nix_asks_a_proxy_for_this_machine_until_it_is_told_not_to(rig, tmp_path):
    target = rig.cache(rig.good())
    rig.proxied(f"http://127.0.0.1:{rig.stack.enter_context(faults.refusing())}")
    finding = ask(target)["substituter.proxy"]
    assert finding.code == "substituter.proxy.loopback"
    settings = {
        "substituters": target.endpoint.url,
        "trusted-public-keys": TRUSTED,
        "download-attempts": "1",
    }
    outcomes = []
    for prefix in ("", f"{finding.hints[0]}; "):
        environment = {"http_proxy": os.environ["http_proxy"]}
        with IsolatedStore(tmp_path / str(len(outcomes)), settings, variables=environment) as store:
            args = ["sh", "-c", f"{prefix}nix-store -r {SIGNED}"]
            done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
        outcomes.append(done.returncode == 0)
    assert outcomes == [False, True]


def test_401_and_403_and_404_are_told_apart(rig):
    codes = {}
    for status in (401, 403, 404):
        findings = ask(rig.cache(rig.good(narinfo=answer(b"", status))))
        codes[status] = findings["substituter.narinfo"].code.rpartition(".")[2]
    assert codes == {401: "unauthorised", 403: "forbidden", 404: "absent"}


def test_a_redirect_that_works_is_named_with_its_host(rig):
    archive = lzma.compress(ARCHIVE)
    elsewhere = rig.stack.enter_context(serving({"*": answer(archive)}))
    location = redirect(f"http://127.0.0.1:{elsewhere}/object?X-Amz-Signature=s3cret")
    finding = ask(rig.cache(rig.good(nar=location)))["substituter.nar"]
    assert finding.code == "substituter.nar.ok"
    assert f"127.0.0.1:{elsewhere}" in finding.seen
    assert finding.data["hops"][str(SIGNED)][-1] == f"http://127.0.0.1:{elsewhere}/object?…"


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_redirect_into_the_cluster_names_the_store_that_is_hidden_there(rig, name):
    finding = ask(rig.cache(rig.good(**{name: ELSEWHERE})))[f"substituter.{name}"]
    assert finding.code == f"substituter.{name}.in-cluster"
    assert "minio.storage.invalid" in finding.seen and "minio.storage.invalid" in finding.hints[0]


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("info", redirect("/login")),
        ("narinfo", redirect("/login")),
    ],
)
def test_a_redirect_to_a_login_page_is_a_login_page(rig, name, reply):
    finding = ask(rig.cache(rig.good(**{name: reply}) | {"/login": HTML}))[f"substituter.{name}"]
    assert finding.code == f"substituter.{name}.login"
    assert "/login" in finding.seen


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
    ids=["go", "nginx", "alert"],
)
def test_servers_that_refuse_plain_http_in_words_of_their_own_speak_tls(rig, refusal):
    finding = ask(rig.talking(faults.saying(refusal)))["substituter.protocol"]
    assert finding.code == "substituter.protocol.tls"
    assert finding.hints[0].endswith(f"https://{rig_authority(finding)}")


def rig_authority(finding):
    return finding.seen.split()[0]


def test_a_400_of_another_kind_is_http(rig):
    """Attic answers so where the name that it is asked by is not among its allowed hosts."""
    target = rig.cache({"*": BAD_HOST})
    finding = ask(target)
    assert finding["substituter.protocol"].code == "substituter.protocol.ok"
    assert finding["substituter.info"].code == "substituter.info.bad-host"
    assert f'"{target.endpoint.authority}"' in finding["substituter.info"].hints[0]


def test_a_content_addressed_path_that_is_signed_proves_the_key_too(rig):
    target = rig.published(signed(probe_info(), KEY), probe_path=str(PROBE))
    finding = ask(target)["substituter.signature"]
    assert finding.code == "substituter.signature.ok"
    assert "unsigned" in finding.seen


def test_a_content_addressed_path_of_the_wrong_key_shows_the_wrong_key(rig):
    """Nix would take the path; what comes after it would be refused."""
    target = rig.published(
        signed(probe_info(), KEY), probe_path=str(PROBE), public_keys=(OTHER_KEY_SAME_NAME,)
    )
    assert ask(target)["substituter.signature"].code == "substituter.signature.wrong-key"


def test_a_content_addressed_path_of_an_unknown_key_says_how_to_give_that_key(rig):
    finding = ask(rig.published(signed(probe_info(), OTHER_KEY), probe_path=str(PROBE)))[
        "substituter.signature"
    ]
    assert (finding.code, finding.status) == ("substituter.signature.unproved", Status.WARN)
    assert finding.hints[0].endswith("gfattach up --public-key other-1:BASE64")


def test_the_signed_path_is_the_one_that_counts(rig):
    target = rig.published(
        signed(probe_info(), KEY), signed_info(), probe_path=str(PROBE), signed_path=str(SIGNED)
    )
    assert ask(target)["substituter.signature"].code == "substituter.signature.unsigned"


def test_a_key_that_signs_under_another_name_is_given_as_it_should_be_written(rig):
    finding = ask(CASES["substituter.signature.key-name"](rig))["substituter.signature"]
    assert any(TRUSTED in hint for hint in finding.hints)


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
@pytest.mark.parametrize(
    ("bad", "code", "comes"),
    [("test-1:AAAA", "malformed", False), ("stranger-1:AAAA", "ok", True)],
    ids=["a name that is known", "a name that is not"],
)
def test_beside_a_good_signature_a_bad_one_matters_by_its_name(rig, tmp_path, bad, code, comes):
    info = signed(signed_info(), KEY)
    target = rig.published(replace(info, signatures=(*info.signatures, bad)))
    assert ask(target)["substituter.signature"].code == f"substituter.signature.{code}"
    settings = {"substituters": target.endpoint.url, "trusted-public-keys": TRUSTED}
    with IsolatedStore(tmp_path / "nix", settings) as store:
        args = ["nix-store", "-r", str(SIGNED)]
        done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == comes, done.stderr


def test_a_compressed_file_that_cannot_be_opened_is_still_compared(rig):
    """Where the content cannot be seen, the hash of the file is all there is."""
    wrong = Hash("sha256", bytes(32))
    for changes, end in (({"file_hash": wrong}, "hash"), ({"file_size": 1}, "size")):
        target = rig.published(signed(signed_info(compression="br", **changes), KEY))
        assert ask(target)["substituter.nar"].code == f"substituter.nar.{end}"


def test_a_wrong_file_hash_is_no_matter_where_the_nar_is_right(rig):
    """Nix does not look at it either."""
    target = rig.published(signed(signed_info(file_hash=Hash("sha256", bytes(32))), KEY))
    assert ask(target)["substituter.nar"].code == "substituter.nar.ok"


def test_tls_all_the_way_passes_all_of_it(rig):
    findings = ask(rig.cache(rig.good(), "https"))
    assert {finding.status for finding in findings.values()} == {Status.OK}


def test_a_proxy_all_the_way_passes_all_of_it(rig):
    findings = ask(_proxied(rig))
    assert {finding.status for finding in findings.values()} == {Status.OK}


def test_a_forward_whose_upstream_is_gone_says_where_to_look(rig):
    finding = ask(rig.talking(hang_up))["substituter.protocol"]
    assert "gfattach status" in finding.hints[0]


def test_a_name_inside_the_cluster_is_met_with_a_forward(rig):
    finding = ask(CASES["substituter.resolve.unknown"](rig))["substituter.resolve"]
    assert "gfattach up" in finding.hints[0]
