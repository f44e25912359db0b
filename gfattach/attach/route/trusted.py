"""What an attach comes to trust: named with its source, and held against what the last attach trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gfattach.attach.model import record as records
from gfattach.attach.model.options import UpOptions
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, ok, warn
from gfattach.core.paths import Home
from gfattach.site.site import Site
from gfattach.site.trusted import Trusted, changes, demand_accepted, demand_no_loopback, named, trusted

_WHY = "who says it decides what ends up in builds here"


def name_trusted(site: Site, home: Home, run: Run, options: UpOptions) -> tuple[Trusted, ...]:
    """What `site` has this machine trust, as a step of `run`. What the ConfigMap has come to say since the
    last attach the options accept, or the person who is asked.

    Raises RefusedError (`site.changed`, `site.loopback`) and StorageError.
    """
    record = records.load(home)
    found = trusted(site)
    before = found if record is None else record.trusted
    said = changes(before, found)
    if not options.accept_site:
        demand_no_loopback(site)
        if not (said and _answered(said, options, run)):
            demand_accepted(before, found)

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        findings = {item.key: ok("site.trusted", str(item), source=item.source) for item in named(found)}
        for number, line in enumerate(said):
            findings[f"changed.{number}"] = warn("site.changed.accepted", line, _WHY)
        return findings

    if said or named(found):
        run.step("trusted", "name what is trusted, and who says it", work)
    return found


def _answered(said: Sequence[str], options: UpOptions, run: Run) -> bool:
    if options.ask_site is None or run.terminal is None:
        return False
    with run.terminal.borrowed():
        return options.ask_site(said)
