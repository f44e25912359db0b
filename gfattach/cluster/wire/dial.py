"""Reaching an API server: TCP or a proxy, then TLS; every failure by its name, with what to look at."""

from __future__ import annotations

import ssl

from gfattach.cluster.connection import ClusterConnection
from gfattach.core.deadline import Deadline
from gfattach.net.connect import connect, through_proxy
from gfattach.net.errors import DialError, tls_error
from gfattach.net.stream import Stream
from gfattach.tls.context import authorities_of, unverified_twin
from gfattach.tls.fault import Fault, fault_of
from gfattach.tls.second_opinion import accepted, may_differ


async def dial(connection: ClusterConnection, deadline: Deadline) -> Stream:
    """A connection to the API server, ready for a request. Raises DialError."""
    stream = await reach(connection, deadline)
    context, name = connection.tls, connection.server_name or connection.host
    if context is None:
        return stream
    try:
        await stream.start_tls(context, name, deadline)
        return stream
    except BaseException as error:
        stream.shut()
        if isinstance(error, TimeoutError):
            raise DialError(
                "silent",
                f"{connection.authority} accepts connections but sends no response (timeout)",
                "something accepts connections there and says nothing: is the VPN up?",
            ) from None
        if may_differ(error):
            second = await _as_kubectl(connection, context, name, deadline)
            if second is not None:
                second.refusal = error
                return second
        if isinstance(error, OSError | ValueError):
            names = await _names(connection, deadline) if fault_of(error) is Fault.NAME else ()
            raise tls_error(
                error, connection.authority, name, names=names, identified=connection.identified
            ) from error
        raise


async def reach(connection: ClusterConnection, deadline: Deadline) -> Stream:
    """A connection to the API server's port, without its TLS. Raises DialError."""
    proxy, host, port = connection.proxy, connection.host, connection.port
    if proxy is None:
        return await dial_direct(host, port, deadline)
    return await through_proxy(proxy, host, port, deadline, authorities_of(connection.tls))


async def dial_direct(host: str, port: int, deadline: Deadline) -> Stream:
    """A plain TCP connection. Raises DialError."""
    return Stream(await connect(host, port, deadline))


async def _as_kubectl(
    connection: ClusterConnection, context: ssl.SSLContext, name: str, deadline: Deadline
) -> Stream | None:
    """A connection whose certificate OpenSSL refused and Go's rules accept; None where they do not either.

    Nothing but the handshake is sent before the certificate of this very connection was verified.
    """
    stream = await reach(connection, deadline)
    try:
        layer = await stream.start_tls(unverified_twin(context), name, deadline)
        if accepted(layer.chain("unverified"), authorities_of(context), name):
            return stream
    except (OSError, ValueError):
        pass
    except BaseException:
        stream.shut()
        raise
    stream.shut()
    return None


async def _names(connection: ClusterConnection, deadline: Deadline) -> tuple[str, ...]:
    """What the server's certificate is for: asked on a second connection that sends nothing.

    Python shows the certificate of a handshake only when it succeeded, so this one trusts the same
    authorities and does not compare the name. () when it cannot be had.
    """
    lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    lenient.check_hostname = False
    lenient.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        lenient.load_verify_locations(cadata=b"".join(authorities_of(connection.tls)))
        stream = await reach(connection, deadline)
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
