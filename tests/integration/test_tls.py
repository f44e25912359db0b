"""Inspecting real TLS servers: right ones, and ones that are wrong in one way each."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gfattach.core.deadline import Deadline
from gfattach.net import route
from gfattach.net.inspect import inspect
from gfattach.net.proxy import Proxy
from gfattach.tls import explain as parts
from gfattach.tls.context import blind, verifying
from gfattach.tls.explain import WORDS
from gfattach.tls.explain_time import validity
from gfattach.tls.explain_trust import trust
from gfattach.tls.fault import Fault
from gfattach.tls.inspection import Inspection
from gfattach.tls.purpose import Purpose
from tests.harness.certificates.pki import DAY, Pki, answering, others, pki, server_context
from tests.harness.machine import faulty_servers as faults

__all__ = ["others", "pki"]

NAME = "cache.test"
EXPIRED = {"start": -9 * DAY, "end": -2 * DAY}


def asked(pki, port, *, name=NAME, alpn=(), pair=None, **wrong):
    context = verifying(
        pki.ca, alpn=alpn, certificate=pair and pair.certificate, key=pair and pair.key, **wrong
    )
    found = inspect(
        route.to_host("127.0.0.1", port),
        name,
        context,
        Deadline.after(10),
        alpn=alpn,
        identified=pair is not None,
    )
    assert Inspection.from_json(found.as_json()) == found
    return found


def explain(found, where=NAME):
    """The parts in the order in which the stage of certificates asks them; where no TLS was spoken, one."""
    asked = (found, where, Purpose.CACHE)
    first = parts.handshake(*asked)
    if not found.encrypted:
        return (first,)
    return (first, trust(*asked), parts.name(*asked), validity(*asked), parts.client(*asked))


def cause(found, where=NAME):
    """Why the server cannot be used; None when it can."""
    return next((part for part in explain(found, where) if part.failed), None)


@dataclass(frozen=True)
class Case:
    """A server and its client, the topic and word of the cause, and what the sentence has to name."""

    name: str
    expected: str
    says: str = ""
    issue: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = (NAME,)
    by: str = "root"
    chain: tuple[str, ...] = ()
    serve: dict[str, Any] = field(default_factory=dict)
    ask: dict[str, Any] = field(default_factory=dict)
    clock: timedelta = timedelta()
    mutual: str = ""
    client: str = ""


CASES = [
    Case("all is right, EC", ""),
    Case("all is right, RSA", "", issue={"kind": "rsa"}),
    Case("an address, asked for by the address", "", names=("127.0.0.1",), ask={"name": "127.0.0.1"}),
    Case("a wildcard", "", names=("*.svc.test",), ask={"name": "api.svc.test"}),
    Case("the whole chain is sent", "", by="between", chain=("between",)),
    Case("another authority", "trust.authority-missing", "root of others", by="others"),
    Case(
        "another authority, its chain sent",
        "trust.authority-missing",
        "root of others",
        by="others between",
        chain=("others between",),
    ),
    Case("an authority made anew", "trust.authority-renewed", "root of the tests", by="renewed"),
    Case("signed by itself", "trust.self-signed", NAME, issue={"self_signed": True}),
    Case(
        "a gateway that makes one up",
        "trust.self-signed",
        "Fake Certificate",
        issue={"self_signed": True, "subject": "Kubernetes Ingress Controller Fake Certificate"},
    ),
    Case(
        "an intermediate that is not sent",
        "trust.intermediate-missing",
        "intermediate of the tests",
        by="between",
        issue={"fetched": True},
    ),
    Case("an authority that may sign nothing", "trust.chain", by="leaf", chain=("leaf",)),
    Case("another name", "name.other", "other.test", names=("other.test",)),
    Case(
        "no name but the common one", "name.none", "subjectAltName", names=(), issue={"subject": "other.test"}
    ),
    Case("expired", "validity.expired", "expired", issue=EXPIRED),
    Case(
        "expired RSA", "validity.expired", "2 days", issue={"kind": "rsa", "start": -9 * DAY, "end": -2 * DAY}
    ),
    Case("not valid yet", "validity.not-yet", "not valid before", issue={"start": DAY}),
    Case("this clock is behind", "validity.clock", "2 days behind", issue={"start": DAY}, clock=2 * DAY),
    Case(
        "this clock is ahead",
        "validity.clock",
        "3 days before",
        issue=EXPIRED,
        clock=-3 * DAY,
    ),
    Case("no client certificate", "client.missing", mutual="root"),
    Case(
        "no client certificate, TLS 1.2",
        "client.missing",
        mutual="root",
        serve={"newest": ssl.TLSVersion.TLSv1_2},
    ),
    Case("a stranger's client certificate", "client.refused", mutual="root", client="others"),
    Case(
        "a stranger's client certificate, TLS 1.2",
        "client.refused",
        mutual="root",
        client="others",
        serve={"newest": ssl.TLSVersion.TLSv1_2},
    ),
    Case("the right client certificate", "", mutual="root", client="root"),
    Case("a client certificate that may be left out", "", mutual="root", serve={"optional": True}),
    Case(
        "HTTP/1.1 where gRPC is wanted",
        "handshake.alpn",
        serve={"alpn": ("http/1.1",)},
        ask={"alpn": ("h2", "http/1.1")},
    ),
    Case("HTTP/2 where gRPC is wanted", "", serve={"alpn": ("h2",)}, ask={"alpn": ("h2",)}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_cause_is_named_first(case, pki, others, tmp_path):
    made = Pki(tmp_path)
    issuers = {
        "root": pki.root,
        "between": pki.between,
        "others": others.root,
        "others between": others.between,
        "renewed": made.root,
        "leaf": pki.leaf,
    }
    pair = pki.issue(
        *case.names, issuer=issuers[case.by], chain=tuple(issuers[one] for one in case.chain), **case.issue
    )
    clients = {"": None, "root": pki.ca}[case.mutual]
    client = {"": None, "root": pki, "others": others}[case.client]
    identity = None if client is None else client.issue("client.test")
    context = server_context(pair, clients=clients, **case.serve)
    with answering(context, datetime.now(UTC) + case.clock) as port:
        found = asked(pki, port, pair=identity, **case.ask)
    why = cause(found, NAME)
    assert (f"{why.topic}.{why.word}" if why else "") == case.expected, found
    if why is not None:
        assert case.says in why.seen
        assert why.why and why.hints
        return
    assert found.version and found.chain and found.anchor is not None
    assert found.anchor.subject == "CN=root of the tests"


def test_the_second_look_finds_all_that_is_wrong(pki, others):
    pair = pki.issue("other.test", issuer=others.root, start=-9 * DAY, end=-2 * DAY)
    with answering(server_context(pair)) as port:
        parts = explain(asked(pki, port))
    assert [f"{part.topic}.{part.word}" for part in parts if part.failed] == [
        "trust.authority-missing",
        "name.other",
        "validity.expired",
    ]


def test_a_certificate_that_soon_expires_is_warned_about(pki):
    with answering(server_context(pki.issue(NAME, end=3 * DAY))) as port:
        found = asked(pki, port)
    validity = {part.topic: part for part in explain(found)}["validity"]
    assert (validity.word, validity.failed) == ("soon", False)
    assert "in 3 days" in validity.seen and validity.data["days_left"] == pytest.approx(3, abs=0.01)


def test_a_certificate_with_a_common_name_alone_is_warned_about(pki):
    with answering(server_context(pki.issue(subject=NAME))) as port:
        name = {part.topic: part for part in explain(asked(pki, port))}["name"]
    assert (name.word, name.failed) == ("none", False)
    assert "no subjectAltName" in name.seen


SPEAKERS = [
    ("plain HTTP", faults.saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "plaintext", "HTTP/1.1 400"),
    ("plain HTTP/2", faults.saying(b"\0\0\0\4\0\0\0\0\0"), "plaintext", "HTTP/2"),
    ("silence", faults.silent, "silent", ""),
    ("a closed door", lambda connection: None, "closed", ""),
    ("an alert", faults.saying(b"\x15\x03\x03\0\2\2\x70"), "broken", "unrecognized name"),
]


@pytest.mark.parametrize(("handle", "word", "says"), [s[1:] for s in SPEAKERS], ids=[s[0] for s in SPEAKERS])
def test_what_is_no_tls_is_named(pki, handle, word, says, monkeypatch):
    monkeypatch.setattr("gfattach.net.inspect.TALK_SECONDS", 0.5)
    monkeypatch.setattr("gfattach.net.inspect.WORD_SECONDS", 0.3)
    with faults.talking(handle) as port:
        why = cause(asked(pki, port))
    assert (why.topic, why.word) == ("handshake", word)
    assert says in why.seen


def test_a_server_that_closes_after_the_handshake_is_told_from_one_that_wants_a_certificate(pki):
    context = server_context(pki.issue(NAME))

    def handle(connection):
        context.wrap_socket(connection, server_side=True).close()

    with faults.talking(handle) as port:
        found = asked(pki, port)
    assert found.fault is Fault.CLOSED and found.encrypted
    assert "agrees on TLS, and then closes" in cause(found).seen


def test_a_port_that_refuses_is_unreachable(pki):
    with faults.refusing() as port:
        found = asked(pki, port)
    assert cause(found).word == "unreachable" and "refused" in cause(found).seen


def test_a_unix_socket_leads_to_a_server_with_its_real_name(pki, tmp_path):
    path = tmp_path / "s"
    with answering(server_context(pki.issue(NAME)), path=path):
        good, bad = (
            inspect(route.to_socket(path), name, verifying(pki.ca), Deadline.after(10))
            for name in (NAME, "other.test")
        )
    assert cause(good) is None
    assert cause(bad).word == "other"


def proxy(answer=b"HTTP/1.1 200 Connection established\r\n\r\n", heard=None, port=None):
    """An HTTP proxy that leads to `port` of this machine, or answers something else."""
    import socket
    import threading

    def pump(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def handle(connection):
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        heard.append(request)
        connection.sendall(answer)
        if port is None:
            return
        with socket.create_connection(("127.0.0.1", port)) as onward:
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join(5)

    return faults.talking(handle)


def test_a_proxy_is_asked_to_connect_and_its_credentials_are_not_shown(pki):
    heard = []
    with answering(server_context(pki.issue(NAME))) as port, proxy(heard=heard, port=port) as door:
        through = route.through_proxy(Proxy("http", "127.0.0.1", door, "me", "s3cret"), NAME, 6443)
        found = inspect(through, NAME, verifying(pki.ca), Deadline.after(10))  # type: ignore[arg-type]
    assert cause(found) is None
    assert heard[0].startswith(b"CONNECT cache.test:6443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6czNjcmV0\r\n" in heard[0]
    assert "s3cret" not in str(found) and "bWU6" not in str(found)


def test_a_proxy_that_refuses_is_quoted(pki):
    with proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", []) as door:
        through = route.through_proxy(Proxy("http", "127.0.0.1", door), NAME, 6443)
        found = inspect(through, NAME, verifying(pki.ca), Deadline.after(10))  # type: ignore[arg-type]
    assert cause(found).word == "unreachable"
    assert "wants a user name and a password" in cause(found).seen


def test_a_check_that_is_switched_off_is_warned_about(pki, others):
    with answering(server_context(others.issue("other.test"))) as port:
        found = inspect(route.to_host("127.0.0.1", port), NAME, blind(), Deadline.after(10))
    trust = {part.topic: part for part in explain(found)}["trust"]
    assert (trust.word, trust.failed, cause(found)) == ("unchecked", False, None)


def test_every_word_of_an_explanation_is_earned_above():
    earned = {case.expected for case in CASES} | {f"handshake.{word}" for _, _, word, _ in SPEAKERS}
    earned |= {"trust.unchecked", "validity.soon", "handshake.unreachable"} | {
        f"{topic}.ok" for topic in WORDS
    }
    assert {f"{topic}.{word}" for topic, words in WORDS.items() for word in words} <= earned
