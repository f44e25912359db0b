"""One client in an `up`: asked, given its fragment and measured, or taken back as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gfattach.attach.client.client import Client, Unattached
from gfattach.attach.client.session import UpSession
from gfattach.attach.route import forwards
from gfattach.core.engine import Progress
from gfattach.core.errors import GfattachError
from gfattach.core.files import remove
from gfattach.core.finding import Finding


class ClientOutcome(Struct):
    """What became of a client: whether it is attached, how it is used, why nothing of it was proved.

    `skipped` is why it was not asked at all; `failures` are the errors that ended a part of it.
    """

    client: Client[Any]
    attached: bool = False
    use: Sequence[str] = ()
    skipped: str = ""
    not_proved: list[str] = []
    failures: list[GfattachError] = []

    def attempt(self, work: Callable[[], object]) -> bool:
        """Do a part of it; whether it came to its end. The checklist has shown what ended it by then."""
        try:
            work()
        except Unattached as reason:
            self.not_proved.append(str(reason))
        except GfattachError as error:
            self.failures.append(error)
            self.not_proved.append(error.fact)
        else:
            return True
        return False


def attach_client(up: UpSession, client: Client[Any]) -> ClientOutcome:
    """Attach it, or take back all that this and an earlier `up` made of it.

    Raises GfattachError where its fragment cannot be written: nothing goes on then.
    """
    outcome = ClientOutcome(client)
    if client.target is None:
        outcome.skipped = f"no {client.serves} is configured" if client.asked_for else ""
        return outcome

    def prepare() -> None:
        spec = up.route.cache_forward if client.serves == "cache" else up.route.nix_forward
        if spec is not None and forwards.failed(spec, up.run):
            raise Unattached(f"the forward to the {client.serves} is down")
        found = client.prepare(up)
        if found.reason and not found.left_out:
            outcome.not_proved.append(found.reason)

    def write(progress: Progress) -> Mapping[str, Finding]:
        outcome.use, findings = client.write_fragment(up)
        return findings

    def measure() -> None:
        fills = up.route.fills
        with client.measures(up.measurement) as phases:
            if fills:
                phases.fill()
            phases.hit(warm=fills)
            if not fills:
                phases.hit_again(warm=True)
        client.settle(up)

    if outcome.attempt(prepare):
        up.run.step(client.fragment, f"write the {client.name.capitalize()} fragment", write)
        outcome.attached = outcome.attempt(measure)
    if not outcome.attached:
        roll_back(up, client)
    return outcome


def roll_back(up: UpSession, client: Client[Any]) -> None:
    """Take back what this and an earlier `up` made of the client. Raises AgentError and StorageError."""
    for name in client.beside:
        remove(up.home.directory / name)
    fragment = client.fragment_of(up.plan)
    if fragment is not None:
        client.discard(up, fragment)
    # What an earlier attach has registered is not in the plan, and has to go with its fragment.
    up.hold(client.without(up.plan), anew=fragment is not None if client.guarded else up.stale)
