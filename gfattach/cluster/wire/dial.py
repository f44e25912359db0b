"""Reaching an API server: TCP or a proxy, then TLS; every failure by its name, with what to look at."""

from __future__ import annotations

import ssl

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.connect import connect
from gfattach.cluster.wire.dial_errors import DialError, tls_error
from gfattach.cluster.wire.dial_proxy import through_proxy
from gfattach.cluster.wire.stream import Stream
from gfattach.core.deadline import Deadline
from gfattach.tls.fault import Fault, fault_of


async def dial(connection: ClusterConnection, deadline: Deadline) -> Stream:
    """A connection to the API server, ready for a request. Raises DialError."""
    stream = await _reach(connection, deadline)
    if connection.tls is None:
        return stream
    name = connection.server_name or connection.host
    try:
        await stream.start_tls(connection.tls, name, deadline)
        return stream
    except BaseException as error:
        stream.shut()
        if isinstance(error, TimeoutError):
            raise DialError(
                "silent",
                f"no answer from {connection.authority} to the TLS handshake in time",
                "something accepts connections there and says nothing: is the VPN up?",
            ) from None
        if isinstance(error, OSError | ValueError):
            names = await _names(connection, deadline) if fault_of(error) is Fault.NAME else ()
            raise tls_error(error, connection.authority, name, names) from error
        raise


async def _reach(connection: ClusterConnection, deadline: Deadline) -> Stream:
    if connection.proxy is None:
        return Stream(await connect(connection.host, connection.port, deadline))
    return await through_proxy(connection.proxy, connection.host, connection.port, deadline)


async def dial_direct(host: str, port: int, deadline: Deadline) -> Stream:
    """A plain TCP connection. Raises DialError."""
    return Stream(await connect(host, port, deadline))


async def _names(connection: ClusterConnection, deadline: Deadline) -> tuple[str, ...]:
    """What the server's certificate is for: asked on a second connection that sends nothing.

    Python shows the certificate of a handshake only when it succeeded, so this one trusts the same
    authorities and does not compare the name. () when it cannot be had.
    """
    assert connection.tls is not None
    lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lenient.check_hostname = False
    try:
        authorities = b"".join(connection.tls.get_ca_certs(binary_form=True))
        lenient.load_verify_locations(cadata=authorities)
        stream = await _reach(connection, deadline)
    except (OSError, ValueError, DialError):
        return ()
    try:
        layer = await stream.start_tls(lenient, connection.server_name or connection.host, deadline)
    except (OSError, ValueError):
        return ()
    finally:
        stream.shut()
    names = layer.certificate.get("subjectAltName", ())
    return tuple(str(name[1]) for name in names) if isinstance(names, tuple) else ()
