"""TLS before a plaintext server, as an ingress or a sidecar has it: a process of its own, on 127.0.0.1.

    python -m tests.harness.certificates.tls_front CERTIFICATE KEY PORT

It prints the port that it listens on, offers h2, and passes bytes on to PORT until it is ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.harness.certificates.pki import Pair
from tests.harness.machine.developer import ROOT


@contextlib.contextmanager
def front(pair: Pair, port: int) -> Iterator[int]:
    """A front with that certificate before `port`; where it listens."""
    command = [
        sys.executable,
        "-m",
        "tests.harness.certificates.tls_front",
        str(pair.certificate),
        str(pair.key),
        str(port),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


async def _serve(certificate: str, key: str, port: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(certificate), Path(key))
    context.set_alpn_protocols(["h2"])

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
