"""What an attach comes to trust: named with its source, and held against what the last attach trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gfattach.attach.model import record as records
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, ok, warn
from gfattach.core.paths import Home
from gfattach.site.site import Site
from gfattach.site.trusted import Trusted, changes, demand_accepted, demand_no_loopback, named, trusted

_WHY = "who says it decides what ends up in builds here"


def name_trusted(site: Site, home: Home, run: Run, *, accepted: bool) -> tuple[Trusted, ...]:
    """What `site` has this machine trust, as a step of `run`. `accepted` takes whatever the ConfigMap says.

    Raises RefusedError (`site.changed`, `site.loopback`) and StorageError.
    """
    record = records.load(home)
    found = trusted(site)
    before = found if record is None else record.trusted
    if not accepted:
        demand_no_loopback(site)
        demand_accepted(before, found)
    said = changes(before, found)

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        findings = {item.key: ok("site.trusted", str(item), source=item.source) for item in named(found)}
        for number, line in enumerate(said):
            findings[f"changed.{number}"] = warn("site.changed.accepted", line, _WHY)
        return findings

    if said or named(found):
        run.step("trusted", "name what is trusted, and who says it", work)
    return found
