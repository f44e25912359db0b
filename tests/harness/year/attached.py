"""The attached machine: the agent as it is, its user's files, and clients that count what they get.

The agent runs in this process, by its own `run`, from registration to end; it is spoken to over its control
socket, and its forwards over their ports.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from gfattach.agent import serve
from gfattach.agent.forward import clients
from gfattach.agent.health import check as health
from gfattach.agent.launch.client import AgentClient
from gfattach.agent.launch.supervisor import DEFAULT_LEASE_SECONDS
from gfattach.agent.model.log import LOG
from gfattach.agent.model.spec import (
    DirectUpstream,
    FollowedNetrc,
    ForwardSpec,
    GuardedFile,
    Health,
    PodUpstream,
    Registration,
)
from gfattach.agent.model.state import AGENT
from gfattach.agent.model.status import AgentStatus
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from gfattach.core.files import write_atomic
from tests.harness.certificates.pki import Issuer
from tests.harness.year.cache import Conversation, body
from tests.harness.year.certificates import Certificates
from tests.harness.year.clock import Clock
from tests.harness.year.cluster import NAMESPACE, SERVICE, SimulatedCluster
from tests.harness.year.connections import Connections

FULL, EMPTY = "substituters = http://127.0.0.1:1\n", "# its forward is down\n"

#: Seconds in which a forward whose upstream is well again has to be up: what was being asked has failed, and
#: the next question, over a new connection, is answered.
BACK = 2 * (health.CONNECT_SECONDS + health.ANSWER_SECONDS) + health.DOWN_SECONDS + serve.TICK_SECONDS

#: Seconds in which an upstream that is gone without a word has to be seen to be.
NOTICED = (
    health.INTERVAL_SECONDS["http"] + health.ANSWER_SECONDS + health.CONNECT_SECONDS + serve.TICK_SECONDS
)

#: Seconds in which a client's connection whose other end is gone without a word has to end: a ping is sent,
#: and not answered.
ENDED = clients._PING_SECONDS + clients._PONG_SECONDS + serve.TICK_SECONDS

_ANSWER_SECONDS = 10.0

#: Seconds of a token from the identity provider.
TOKEN_SECONDS = 3600.0

#: Seconds before its end in which a token is replaced.
_RENEWED_SECONDS = 240.0

_PLUGIN = '#!/bin/sh\nexec cat "{file}"\n'


class Lost(Exception):
    """Something that has to hold did not."""


@dataclass(frozen=True)
class Client:
    """A connection to a forward."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Errors(logging.Handler):
    """Keeps what the agent logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one, with its traceback."""
        self.said.append(self.format(record))


class Attached:
    """Everything of one machine, below `root`."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self.clock = clock
        self.certificates = Certificates(root, clock)
        self.authority = self.certificates.authority()
        self.cluster = SimulatedCluster(self.certificates.pair(self.authority), clock)
        self.direct_authority = self.authority
        self.direct = Connections(_converse)
        self.errors = Errors()
        self.agents = self.requests = self.cut = self.tokens = 0
        self._number = 0
        self._agent: asyncio.Task[str] | None = None
        self._direct_server: asyncio.Server | None = None
        self._direct_port = 0
        LOG.addHandler(self.errors)
        LOG.propagate = False
        LOG.setLevel(logging.INFO)

    async def begin(self) -> None:
        """Have a cluster, a cache that is reached directly, and an agent that holds forwards to both."""
        await self.cluster.start(0)
        for _ in range(2):
            self.cluster.add_pod()
        await self.serve_directly(self.authority)
        self.trust(self.authority)
        self.log_in()
        self.write_kubeconfig()
        plugin = self.root / "plugin"
        plugin.write_text(_PLUGIN.format(file=self.root / "credential.json"))
        plugin.chmod(0o700)
        (self.root / "record").touch()
        (self.root / "nix.conf").write_text(EMPTY)
        (self.root / "user.netrc").write_text("machine first\n")
        (self.root / "netrc").write_text("# own\n")
        self._provider = asyncio.create_task(self._renew())
        await self.start()
        await self.register()

    async def end(self) -> None:
        """End all of it."""
        self._provider.cancel()
        await self.stop()
        await self.cluster.stop()
        assert self._direct_server is not None
        self._direct_server.close()
        self.direct.cut()
        await asyncio.sleep(1)

    # The agent.

    async def start(self, lease: float = DEFAULT_LEASE_SECONDS) -> None:
        """Have another agent serve the directory."""
        ref = ClusterRef((self.root / "kubeconfig",), "simulated")
        options = serve.ServeOptions(self.root / "agent", self.root / "state", ref, lease)
        self._agent = asyncio.create_task(self._serve(options))
        self.agents += 1
        while (state := AGENT.read_state(options.directory)) is None:
            if self._agent.done():
                raise Lost(f"the agent ended: {self._agent.exception() or self._agent.result()}")
            await asyncio.sleep(0.05)
        self.control = AgentClient(state.control)

    async def _serve(self, options: serve.ServeOptions) -> str:
        with AGENT.serving(options.directory):
            return await serve.run(options)

    async def stop(self) -> None:
        """End the agent as a command does."""
        await asyncio.to_thread(self.control.stop, Deadline.after(10))
        await self.ended(5.0)

    async def ended(self, seconds: float) -> str:
        """Wait for the agent's end; its reason."""
        assert self._agent is not None
        done, _ = await asyncio.wait({self._agent}, timeout=seconds)
        if not done:
            raise Lost(f"the agent did not end within {seconds:g} s")
        return self._agent.result()

    @property
    def serves(self) -> bool:
        """Whether the agent is there."""
        return self._agent is not None and not self._agent.done()

    async def register(self) -> None:
        """As `up` does."""
        pod = PodUpstream(NAMESPACE, SERVICE, "http")
        direct = Health("http", "/", tls=True, server_name="localhost", ca_file=self.root / "direct-ca.pem")
        forwards = (
            ForwardSpec("nix", pod, Health("nix")),
            ForwardSpec("http", pod, Health("http", "/")),
            ForwardSpec("direct", DirectUpstream("127.0.0.1", self._direct_port), direct, ends_tls=True),
        )
        wanted = Registration(
            self.root / "record",
            forwards,
            (GuardedFile(self.root / "nix.conf", "nix", FULL, EMPTY),),
            netrcs=(FollowedNetrc(self.root / "netrc", self.root / "user.netrc"),),
        )
        await asyncio.to_thread(self.control.register, wanted, Deadline.after(10))

    async def status(self) -> AgentStatus:
        """What the agent says."""
        if not self.serves:
            raise Lost("there is no agent")
        return await asyncio.to_thread(self.control.status, Deadline.after(10))

    # The user's files, and who writes them.

    def log_in(self) -> None:
        """Have the plugin hand out a token that holds for an hour."""
        self.tokens += 1
        token, until = f"token-{self.tokens}", self.clock.true + TOKEN_SECONDS
        self.cluster.tokens = {token: until, **self.cluster.tokens}
        self._until = until
        document = {
            "kind": "ExecCredential",
            "apiVersion": "client.authentication.k8s.io/v1",
            "status": {"token": token, "expirationTimestamp": _rfc3339(until)},
        }
        write_atomic(self.root / "credential.json", json.dumps(document).encode())

    def log_out(self) -> None:
        """Have every token be no good, and the plugin hand out none."""
        self.cluster.tokens = {}
        (self.root / "credential.json").unlink(missing_ok=True)

    def renew(self) -> None:
        """What the plugin does when it is called: what it hands out holds for a while yet."""
        if (self.root / "credential.json").exists() and self.clock.true > self._until - _RENEWED_SECONDS:
            self.log_in()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWED_SECONDS / 4)
            self.renew()

    def write_authority(self) -> Path:
        """Write the file that the kubeconfig names."""
        path = self.root / "cluster-ca.pem"
        write_atomic(path, _pem(self.authority))
        return path

    def write_kubeconfig(self) -> None:
        """The kubeconfig that leads to the API server as it is now."""
        ca = self.write_authority()
        user = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": str(self.root / "plugin"),
                "interactiveMode": "Never",
            }
        }
        cluster = {"server": f"https://127.0.0.1:{self.cluster.port}", "certificate-authority": str(ca)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "simulated",
            "contexts": [{"name": "simulated", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        }
        write_atomic(self.root / "kubeconfig", json.dumps(document).encode())

    def trust(self, *authorities: Issuer) -> None:
        """Have the file of the direct cache's authorities hold these."""
        write_atomic(self.root / "direct-ca.pem", b"".join(map(_pem, authorities)))

    async def serve_directly(self, authority: Issuer) -> None:
        """Have the direct cache show a new certificate of this authority."""
        import ssl

        if self._direct_server is not None:
            self._direct_server.close()
            self.direct.cut()
            await asyncio.sleep(0)
        pair = self.certificates.pair(authority)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._direct_server = await asyncio.start_server(
            self.direct.accept, "127.0.0.1", self._direct_port, ssl=context, reuse_address=True
        )
        self._direct_port = self._direct_server.sockets[0].getsockname()[1]
        self.direct_authority = authority

    # What has to hold.

    async def well(self, seconds: float) -> float:
        """Wait until all is well; the seconds that it took. Raises Lost after `seconds`."""
        began = self.clock.monotonic
        while wrong := await self.wrong():
            if self.clock.monotonic - began > seconds:
                raise Lost(f"after {seconds:g} s: {wrong}")
            await asyncio.sleep(0.25)
        return self.clock.monotonic - began

    async def wrong(self) -> str:
        """What is not well; "" where all is."""
        for forward in (await self.status()).forwards:
            if forward.state != "up":
                return f"{forward.name} is {forward.state}: {forward.last_error}"
            if said := await self.ask(forward.port or 0):
                return f"{forward.name} is up: {said}"
        if (self.root / "nix.conf").read_text() != FULL:
            return "the fragment is empty"
        return ""

    async def down(self, *names: str, seconds: float) -> float:
        """Wait until these are down, the fragment is empty and clients are refused; the seconds."""
        began = self.clock.monotonic
        while True:
            found = {each.name: each for each in (await self.status()).forwards}
            if all(found[name].state == "down" for name in names):
                break
            if self.clock.monotonic - began > seconds:
                raise Lost(f"after {seconds:g} s: {names} are not all down")
            await asyncio.sleep(0.25)
        if "nix" in names and (self.root / "nix.conf").read_text() != EMPTY:
            raise Lost("the fragment is full, and its forward is down")
        return self.clock.monotonic - began

    async def ask(self, port: int) -> str:
        """What was wrong with one numbered request; "" for the answer, whole."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                client = Client(*await asyncio.open_connection("127.0.0.1", port))
                try:
                    await self.number(client)
                finally:
                    client.writer.transport.abort()
        except TimeoutError:
            return f"no answer within {_ANSWER_SECONDS:g} s, and no end"
        except (OSError, EOFError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    async def number(self, client: Client) -> None:
        """One numbered request on an open connection. Raises OSError and EOFError where it has ended."""
        self._number += 1
        number = self._number
        client.writer.write(b"GET /number/%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
        head = await client.reader.readuntil(b"\r\n\r\n")
        answer = await client.reader.readexactly(int(head.partition(b"Length: ")[2]))
        if not head.startswith(b"HTTP/1.1 200") or answer != body(number):
            raise Lost(f"the answer to request {number} is that of another, or changed")
        self.requests += 1

    async def hold(self) -> Client:
        """A client of a pod that keeps its connection, as Bazel does between builds."""
        [forward] = [each for each in (await self.status()).forwards if each.name == "http"]
        client = Client(*await asyncio.open_connection("127.0.0.1", forward.port))
        await self.number(client)
        return client

    async def finish(self, client: Client) -> None:
        """Ask once more on a kept connection: it is answered, or its end is known in time."""
        try:
            async with asyncio.timeout(ENDED):
                await self.number(client)
        except TimeoutError:
            raise Lost(f"a kept connection says nothing, and did not end within {ENDED:g} s") from None
        except (OSError, EOFError):
            self.cut += 1
        finally:
            client.writer.transport.abort()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    conversation = Conversation()
    while data := await reader.read(65536):
        writer.write(conversation.feed(data))
        await writer.drain()


def _pem(issuer: Issuer) -> bytes:
    return issuer.certificate.public_bytes(serialization.Encoding.PEM)


def _rfc3339(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def descriptors() -> int:
    """How many this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
