"""Two faults at a time: the one that the other follows from, or that outweighs it, comes first."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.faults.bed import Bed
from tests.faults.catalogue import cache, kubeconfig, machine, tls, trial
from tests.faults.fault import Fault, Seed

_ALL = {fault.title: fault for fault in (*trial.FAULTS, *machine.FAULTS, *cache.FAULTS, *tls.FAULTS,
                                         *kubeconfig.FAULTS)}  # fmt: skip

#: A failure of the one set-up, and what only warns beside it.
_WARNINGS = (
    "machine: a disk cache hides hits",
    "machine: a proxy before this machine's ports",
    "machine: few descriptors",
)
_FAILURES = (
    "cache: nothing listens",
    "cache: no token",
    "tls: an expired certificate",
    "tls: the authority's file is missing",
    "kubeconfig: a plugin that fails",
    "kubeconfig: a current context that is gone",
    "trial: the embedded caches have been killed",
)

#: What everything else waits for, and what is wrong besides.
_BEFORE = (
    ("trial: the record is cut off", "trial: the embedded caches have been killed"),
    ("trial: the embedded caches have been killed", "trial: the Bazel fragment is gone"),
    ("trial: the agent has been killed", "trial: the Nix fragment is gone"),
)


def _both(first: Seed, second: Seed) -> Seed:
    def seed(bed: Bed) -> None:
        second(bed)
        first(bed)

    return seed


def _pairs() -> Iterator[Fault]:
    for one, other in (*product(_FAILURES, _WARNINGS), *_BEFORE):
        first, second = _ALL[one], _ALL[other]
        also = second.expected[0] if second.set_up == "machine" else None
        seed = _both(first.seed, second.seed)
        yield Fault(first.set_up, f"{first.name}, and {second.name}", seed, first.expected, also)


FAULTS = tuple(_pairs())
