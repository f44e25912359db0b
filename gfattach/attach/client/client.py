"""A client of a shared cache: Bazel or Nix, each attached, asked, measured and rolled back by itself.

Every command that has to do with a client (`up`, `prove`, `status`, `site warm`) goes by this protocol;
`gfattach.attach.bazel.client` and `gfattach.attach.nix.client` are its implementations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Generic, Protocol

from msgspec import Struct
from msgspec.structs import replace

from gfattach.attach.client.session import Session, UpSession
from gfattach.attach.route.plan import Plan, Target
from gfattach.core.finding import Finding, Stage, Status
from gfattach.credential.tokens import has_token, headers_for
from gfattach.proof.measure import Measurement


class Found(Struct, frozen=True):
    """What the probes said of the program at hand, with the `reason` where there is none to prove with.

    `failed` says that one is there, or was named, and cannot be used, `left_out` that none is asked for.
    """

    reason: str = ""
    failed: bool = False
    left_out: bool = False


class Measures(Protocol):
    """The phases of one proof of a client, each a step of the run. Each raises GfattachError."""

    def fill(self) -> None:
        """Store what the hits will ask for, where the client can."""

    def hit(self, *, warm: bool) -> None:
        """Ask for it; `warm` keeps the server of a phase before."""

    def hit_again(self, *, warm: bool) -> None:
        """The other figure of a client that has a server of its own, where anything was hit."""

    def control(self) -> None:
        """Ask once more with the endpoint withheld."""


class Client(ABC, Generic[Target]):
    """One client. `name` is what people and documents call it, `serves` what it is served by.

    `fragment` is the step that writes the file which points it at its cache, `guarded` says whether an agent
    empties that while the cache is down. `beside` are files that only belong to it, `token_step` is the step
    in which its token is found. `found` is what the program is, once it was asked.
    """

    name: ClassVar[str]
    serves: ClassVar[str]
    fragment: ClassVar[str]
    guarded: ClassVar[bool]
    beside: ClassVar[tuple[str, ...]]
    token_step: ClassVar[str]
    found: Found | None

    def __init__(self, session: Session, target: Target | None, stage: Stage[Target]) -> None:
        self.session = session
        self.target: Target | None = target
        self.found = None
        self._stage: Stage[Target] = stage

    @property
    def cache(self) -> Target:
        """The target, where one is configured."""
        assert self.target is not None
        return self.target

    @property
    @abstractmethod
    def asked_for(self) -> bool:
        """Whether no option leaves it out."""

    @abstractmethod
    def token_found(self, host: str) -> Finding:
        """What is said of a token for `host` that was found."""

    def find_token(self) -> None:
        """Have the target asked with the token for its host, if something has one, found as a step.

        Raises CredentialError for a token that cannot be read or is not good now, and StorageError.
        """
        host, environ = self.cache.token_host, self.session.environ
        forwarded = self.cache.behind_forward
        # A forward leads to a host of the cluster; what is dialled is asked for as it is dialled.
        where = host if forwarded else self.cache.endpoint.url
        if not self.cache.headers and has_token(host, environ, vouched=forwarded):
            headers, _ = self.session.run.obtain(
                self.token_step,
                f"find the token for the {self.serves}",
                lambda progress: (
                    headers_for(where, environ, vouched=forwarded),
                    {self.token_step: self.token_found(host)},
                ),
            )
            self.target = replace(self.cache, headers=headers)

    @abstractmethod
    def ask_certificate(self) -> bool:
        """Ask the certificate of a TLS cache everything; whether nothing failed."""

    def ask_cache(self) -> bool:
        """Ask the cache everything; whether nothing failed."""
        return self.session.passes(self._stage, self.cache)

    def answers(self) -> bool:
        """Ask the certificate, and unless that fails the cache; whether nothing failed."""
        return self.ask_certificate() and self.ask_cache()

    @abstractmethod
    def find_program(self) -> Found:
        """Ask the program that is to use the cache, and keep what was found."""

    @abstractmethod
    def measures(self, measurement: Measurement, nonce: str = "") -> AbstractContextManager[Measures]:
        """The phases with the program that was found; `nonce` makes what they ask for new."""

    def prepare(self, up: UpSession) -> Found:
        """All that comes before the fragment is written. Raises Unattached and GfattachError."""
        self.find_token()
        self.agree_on_tls(up)
        if not self.ask_cache():
            raise Unattached(f"the {self.serves} did not pass its probes")
        found = self.found or self.find_program()
        if found.failed:
            raise Unattached(found.reason)
        return found

    def agree_on_tls(self, up: UpSession) -> None:
        """Ask the certificate. Raises Unattached and GfattachError."""
        if not self.ask_certificate():
            raise Unattached(f"the certificate of the {self.serves} did not pass its probes")

    @abstractmethod
    def write_fragment(self, up: UpSession) -> tuple[Sequence[str], Mapping[str, Finding]]:
        """Write it; how it is used, in lines, and what was done. Raises GfattachError."""

    def settle(self, up: UpSession) -> None:
        """Once it was measured: ask what is only confirmation, and mend the fragment. Raises
        GfattachError.
        """

    @abstractmethod
    def fragment_of(self, plan: Plan) -> Path | None:
        """The fragment that the plan has of this client."""

    @abstractmethod
    def without(self, plan: Plan) -> Plan:
        """The plan with nothing of this client."""

    @abstractmethod
    def discard(self, up: UpSession, fragment: Path) -> None:
        """Take the fragment out of use, before the agent is told that it guards nothing."""


class Unattached(Exception):
    """Why a client is not attached, in short: the checklist has shown what was asked."""


def fault_of(findings: Iterable[Finding]) -> tuple[str, bool] | None:
    """What is wrong, by the first finding that is neither good nor a warning, and whether that failed."""
    for finding in findings:
        if finding.status in (Status.FAIL, Status.SKIP):
            hint = f" ({finding.hints[0]})" if finding.status is Status.SKIP and finding.hints else ""
            return f"{finding.seen}{hint}", finding.failed
    return None
