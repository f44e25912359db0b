"""All causes in the order in which they are evaluated: the first that is seen is the cause.

Where a cause is a closer word for another (a quota, ephemeral storage, one holder) it stands before it. What
is merely possible is told when nothing is seen, and never as the cause.
"""

from __future__ import annotations

from gfattach.queue.causes import admission, controllers, github, labels, listeners, pods, slots
from gfattach.queue.causes.cause import Cause, Certainty

CAUSES: tuple[Cause, ...] = (
    labels.UNSERVED,
    labels.OTHER_OWNER,
    labels.SHARED,
    listeners.UNREGISTERED,
    labels.SKEW,
    listeners.OUTDATED,
    listeners.MAX_ZERO,
    listeners.NO_LISTENER,
    listeners.NO_POD,
    listeners.DEAD,
    listeners.LOST_NODE,
    listeners.CRASHING,
    listeners.TWO_LISTENERS,
    listeners.AIMS_WRONG,
    listeners.OTHER_ID,
    listeners.BEHIND,
    slots.ONE_HOLDER,
    slots.ALL_BUSY,
    slots.FAILED,
    slots.PODLESS,
    slots.EVICTED,
    slots.STUCK,
    controllers.DOWN,
    controllers.ELSEWHERE,
    admission.QUOTA,
    admission.REFUSED,
    pods.NO_DISK,
    pods.NO_NODE,
    pods.IMAGE,
    pods.INIT,
    pods.VOLUME,
    pods.JOB_POD,
    controllers.SAME_PATCH,
    pods.BOOTING,
    github.GROUP,
    github.LATE_LABEL,
    slots.ZOMBIE,
    github.LOST_DEMAND,
    github.OSCILLATING,
)

SEEN = tuple(each for each in CAUSES if each.certainty is Certainty.SEEN)
POSSIBLE = tuple(each for each in CAUSES if each.certainty is Certainty.POSSIBLE)
