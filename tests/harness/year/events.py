"""What happens to an attached machine in a year. Each event breaks something, mends it, and returns the
seconds in which all has to be well after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from gfattach.agent import serve
from gfattach.agent.launch.supervisor import DEFAULT_LEASE_SECONDS
from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health, Registration
from gfattach.agent.upstream import session
from gfattach.core.deadline import Deadline
from tests.harness.year.attached import BACK, NOTICED, Attached, Lost
from tests.harness.year.clock import DAY

#: Seconds in which a credential that was refused again and again is asked for anew.
CREDENTIAL_BACK = session._LAST_PAUSE + BACK

_LEASE = 300.0


@dataclass(frozen=True)
class Event:
    """One kind, and how often it comes up among the others."""

    name: str
    act: Callable[[Attached, Random], Awaitable[float]]
    weight: int = 1


async def pod_replaced(at: Attached, chance: Random) -> float:
    """A pod is deleted, and another is ready after a while."""
    at.cluster.remove_pod(chance.choice(list(at.cluster.pods.values())), politely=chance.random() < 0.5)
    await asyncio.sleep(chance.uniform(0, 30))
    at.cluster.add_pod()
    return BACK


async def deployment_rolled(at: Attached, chance: Random) -> float:
    """Every pod is replaced by a new one, one after another."""
    for pod in list(at.cluster.pods.values()):
        at.cluster.add_pod()
        await asyncio.sleep(chance.uniform(0.5, 5))
        at.cluster.remove_pod(pod, politely=True)
    return BACK


async def node_lost(at: Attached, chance: Random) -> float:
    """A node says nothing any more; the cluster sees it after 40 s, and has a pod elsewhere."""
    pod = chance.choice(list(at.cluster.pods.values()))
    at.cluster.lose(pod)
    await asyncio.sleep(40)
    pod.ready = False
    at.cluster.add_pod()
    await at.well(BACK)
    at.cluster.remove_pod(pod)
    return BACK


async def no_pods(at: Attached, chance: Random) -> float:
    """Every pod is gone for a while."""
    for pod in list(at.cluster.pods.values()):
        at.cluster.remove_pod(pod)
    await at.down("nix", "http", seconds=NOTICED)
    await asyncio.sleep(chance.uniform(0, 30))
    for _ in range(2):
        at.cluster.add_pod()
    return BACK


async def cache_restarted(at: Attached, chance: Random) -> float:
    """The caches in the pods end and come back: the pods stay."""
    for pod in at.cluster.pods.values():
        pod.listens = False
        at.cluster.end_connections(pod, politely=True)
    await at.down("nix", "http", seconds=NOTICED)
    await asyncio.sleep(chance.uniform(0, 30))
    for pod in at.cluster.pods.values():
        pod.listens = True
    return BACK


async def api_server_restarted(at: Attached, chance: Random) -> float:
    """The API server is away."""
    await at.cluster.stop()
    await at.down("nix", "http", seconds=NOTICED)
    await asyncio.sleep(chance.uniform(0, 30))
    await at.cluster.start()
    return BACK


async def api_server_moved(at: Attached, chance: Random) -> float:
    """The API server is somewhere else, and the kubeconfig says so."""
    await at.cluster.stop()
    await asyncio.sleep(chance.uniform(0, 10))
    await at.cluster.start(0)
    at.write_kubeconfig()
    return BACK


async def api_server_throttles(at: Attached, chance: Random) -> float:
    """The API server is asked too much by others for a while."""
    at.cluster.throttled = True
    at.cluster.connections.cut()
    await asyncio.sleep(chance.uniform(1, 30))
    at.cluster.throttled = False
    return BACK


async def network_gone(at: Attached, chance: Random) -> float:
    """Nothing answers, and nothing ends."""
    for each in (at.cluster.connections, at.direct):
        each.silent = True
        each.mute()
    await at.down("nix", "http", "direct", seconds=NOTICED)
    await asyncio.sleep(chance.uniform(0, 60))
    for each in (at.cluster.connections, at.direct):
        each.silent = False
    return BACK


async def suspended(at: Attached, chance: Random) -> float:
    """The machine sleeps; what was open is cut, forgotten or still there when it wakes."""
    await sleep(at, chance, chance.uniform(60, DAY / 2))
    return BACK


async def sleep(at: Attached, chance: Random, seconds: float) -> None:
    """As `suspended`, for so long."""
    at.clock.asleep += seconds
    at.renew()
    for each in (at.cluster.connections, at.direct):
        match chance.randrange(3):
            case 0:
                each.cut()
            case 1:
                each.mute()


async def clock_set(at: Attached, chance: Random) -> float:
    """Somebody sets the wall clock, by a second or by a day, and it is set right again."""
    at.clock.set_by = chance.choice((-1, 1)) * chance.choice((1.0, 60.0, 3700.0, DAY))
    took = await at.well(CREDENTIAL_BACK)
    await asyncio.sleep(chance.uniform(0, 20))
    await at.well(CREDENTIAL_BACK)
    at.clock.set_by = 0.0
    return CREDENTIAL_BACK if took else BACK


async def token_revoked(at: Attached, chance: Random) -> float:
    """The token is taken back; the plugin hands out another."""
    at.log_out()
    at.log_in()
    at.cluster.connections.cut()
    return CREDENTIAL_BACK


async def login_expired(at: Attached, chance: Random) -> float:
    """The plugin has nothing to hand out until its user logs in again."""
    at.log_out()
    at.cluster.connections.cut()
    await at.down("nix", "http", seconds=NOTICED)
    await asyncio.sleep(chance.uniform(0, 90))
    at.log_in()
    return CREDENTIAL_BACK


async def _other_authority(at: Attached, chance: Random) -> None:
    at.authority = at.certificates.authority()
    at.cluster.use(at.certificates.pair(at.authority))
    await at.cluster.stop()
    await at.cluster.start()
    await asyncio.sleep(chance.uniform(0, 60))


async def cluster_certificates_rotated(at: Attached, chance: Random) -> float:
    """The API server has a certificate of another authority, and the kubeconfig names that."""
    await _other_authority(at, chance)
    at.write_kubeconfig()
    return BACK


async def cluster_authority_file_rewritten(at: Attached, chance: Random) -> float:
    """As that, and only the file that the kubeconfig names is written anew."""
    await _other_authority(at, chance)
    at.write_authority()
    return BACK


async def direct_certificate_renewed(at: Attached, chance: Random) -> float:
    """The cache that is reached directly has a new certificate of the same authority."""
    await at.serve_directly(at.direct_authority)
    return BACK


async def direct_authority_rotated(at: Attached, chance: Random) -> float:
    """It has one of another authority, which is added to the file first, and the old one is removed."""
    authority = at.certificates.authority()
    at.trust(at.direct_authority, authority)
    await asyncio.sleep(chance.uniform(0, 60))
    await at.serve_directly(authority)
    await at.well(BACK)
    at.trust(authority)
    return BACK


async def upgraded(at: Attached, chance: Random) -> float:
    """The agent is replaced by another, which resumes what it held."""
    ports = {each.name: each.port for each in (await at.status()).forwards}
    await at.stop()
    if at.root.joinpath("nix.conf").read_text().startswith("sub"):
        raise Lost("the fragment is full, and there is no agent")
    await at.start()
    after = {each.name: each.port for each in (await at.status()).forwards}
    if after != ports:
        raise Lost(f"the ports were {ports}, and are {after}")
    return BACK


async def lease_ran_out(at: Attached, chance: Random) -> float:
    """Nobody builds for the time of the lease, once after a client has had it extended; then an `up`."""
    await asyncio.to_thread(at.control.set_lease, _LEASE, Deadline.after(10))
    await asyncio.sleep(_LEASE * 0.9)
    await at.well(BACK)
    await asyncio.sleep(_LEASE * 0.9)
    if not at.serves:
        raise Lost("the lease ended though a client had used a forward")
    reason = await at.ended(_LEASE * 0.1 + BACK)
    if "lease" not in reason:
        raise Lost(f"it ended: {reason}")
    await at.start(DEFAULT_LEASE_SECONDS)
    await at.register()
    return BACK


async def second_workspace(at: Attached, chance: Random) -> float:
    """A second workspace is attached, and removed without a `down`."""
    record = at.root / "second"
    record.touch()
    upstream = DirectUpstream("127.0.0.1", at.cluster.port)
    wanted = Registration(record, (ForwardSpec("second", upstream, Health("http", "/")),))
    await asyncio.to_thread(at.control.register, wanted, Deadline.after(10))
    await asyncio.sleep(chance.uniform(0, 30))
    record.unlink()
    await asyncio.sleep(2 * serve.TICK_SECONDS)
    if any(each.name == "second" for each in (await at.status()).forwards):
        raise Lost("the forward of a workspace that was removed is still held")
    return BACK


async def netrc_rotated(at: Attached, chance: Random) -> float:
    """Something writes the user's netrc anew."""
    line = f"machine host-{chance.randrange(10**9)}\n"
    (at.root / "user.netrc").write_text(line)
    await asyncio.sleep(2 * serve.TICK_SECONDS)
    if (at.root / "netrc").read_text() != f"# own\n{line}":
        raise Lost("the attachment's netrc does not follow the user's")
    return BACK


EVENTS = (
    Event("suspend", suspended, 3),
    Event("pod replaced", pod_replaced, 4),
    Event("deployment rolled", deployment_rolled, 3),
    Event("node lost", node_lost, 2),
    Event("no pods", no_pods, 2),
    Event("cache restarted", cache_restarted, 2),
    Event("API server restarted", api_server_restarted, 2),
    Event("API server moved", api_server_moved),
    Event("API server throttles", api_server_throttles),
    Event("network gone", network_gone, 3),
    Event("clock set", clock_set, 2),
    Event("token revoked", token_revoked, 2),
    Event("login expired", login_expired),
    Event("cluster's certificates rotated", cluster_certificates_rotated),
    Event("cluster's authority file rewritten", cluster_authority_file_rewritten),
    Event("direct cache's certificate renewed", direct_certificate_renewed, 2),
    Event("direct cache's authority rotated", direct_authority_rotated),
    Event("upgrade", upgraded, 2),
    Event("lease ran out", lease_ran_out),
    Event("second workspace", second_workspace, 2),
    Event("netrc rotated", netrc_rotated, 2),
)
