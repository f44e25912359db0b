"""What an attachment is to be: the one source of its record on disk and of its registration with an agent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gfattach.agent.model.spec import FollowedNetrc, ForwardSpec, GuardedFile, Registration
from gfattach.attach.model.record import Attachment
from gfattach.attach.route.route import Route, read_only
from gfattach.core.paths import Home
from gfattach.nixcache.target import SubstituterTarget
from gfattach.reapi.target import CacheTarget

Target = TypeVar("Target", CacheTarget, SubstituterTarget)


class Plan(Struct, frozen=True):
    """`agent` is the directory of the agent that has a part in it, `bazelrc` and `nix_conf` the fragments.

    `guarded` is the Nix fragment as the agent keeps it, `guarded_rc` Bazel's where no option of the Bazel at
    hand does what was asked of it without the cache; `watch` the substituter that is dialled directly and
    asked for its health; `netrc` the netrc that the agent keeps as the user's is. `holds_nix` False has the
    agent hold nothing for Nix. `first_hit` is the proof's summary.
    """

    route: Route
    agent: Path | None = None
    bazelrc: Path | None = None
    nix_conf: Path | None = None
    links: tuple[Path, ...] = ()
    guarded: GuardedFile | None = None
    guarded_rc: GuardedFile | None = None
    watch: ForwardSpec | None = None
    netrc: FollowedNetrc | None = None
    holds_nix: bool = True
    first_hit: Mapping[str, Any] | None = None

    @classmethod
    def begin(cls, route: Route, before: Attachment, agent: Path | None) -> Plan:
        """The plan of an attach that goes by `route`, with what an earlier one has written."""
        return cls(route, agent, before.bazelrc, before.nix_conf, before.links, first_hit=before.first_hit)

    def attachment(self, before: Attachment) -> Attachment:
        """The record, as a change of the one `before`, which has the targets while forwards are not open."""
        cache = _placed(self.route.cache, before.cache)
        return replace(
            before,
            cache=None if cache is None else read_only(cache),
            substituter=_placed(self.route.substituter, before.substituter),
            bazelrc=self.bazelrc,
            nix_conf=self.nix_conf,
            links=self.links,
            trial=self.route.trial_directory,
            agent=self.agent,
            cluster=self.route.cluster,
            first_hit=self.first_hit,
            trusted=self.route.trusted,
        )

    def registration(self, home: Home) -> Registration:
        """What the agent is to hold for the attachment of `home`.

        A forward that ends TLS and was made by an earlier attach is held beside the others until it is known
        which is used, so that nobody's build is cut off.
        """
        route = self.route
        nix = (self.watch or route.nix_forward) if self.holds_nix else None
        plain = route.plain_forward if route.listens else None
        wanted = tuple(spec for spec in (route.cache_forward, nix, plain) if spec is not None)
        guarded = tuple(file for file in (self.guarded_rc, self.guarded) if file is not None)
        netrcs = () if self.netrc is None else (self.netrc,)
        return Registration(home.record, wanted, guarded, home.directory, netrcs)


def _placed(target: Target | None, before: Target | None) -> Target | None:
    return target if target is None or target.endpoint.port else before
