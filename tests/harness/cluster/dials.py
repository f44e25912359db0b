"""A server in an API server's place, and dialling it: what comes of it, or the error.

A module that uses `server` imports it by name, and `pki` from where the certificates are made.
"""

import asyncio

import pytest

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.http import Request, request
from gfattach.core.deadline import Deadline
from gfattach.net.errors import DIAL_CODES, DialError
from gfattach.tls.context import trusting
from tests.harness.certificates.pki import answering, server_context

NAME = "api.test"


@pytest.fixture(scope="module")
def server(pki):
    """An API server's certificate for NAME, and an answer to every request."""
    with answering(server_context(pki.issue(NAME, "127.0.0.1"))) as port:
        yield port


def to(port: int, pki=None, *, host: str = "127.0.0.1", server_name: str = NAME, client=None, **more):
    context = None
    if pki is not None:
        context = trusting(pki.ca)
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
    return ClusterConnection(host, port, "default", tls=context, server_name=server_name, **more)


def status(connection, seconds: float = 5.0):
    answer = asyncio.run(request(connection, Request("GET", "/version"), Deadline.after(seconds)))
    return answer.status


def failure(connection, seconds: float = 5.0):
    """The error of a dial, or of the request after it where the dial succeeds."""
    with pytest.raises(DialError) as failed:
        status(connection, seconds)
    assert failed.value.kind in DIAL_CODES
    assert failed.value.hints or failed.value.kind.startswith("proxy")
    return failed.value
