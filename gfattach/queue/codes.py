"""What the codes of `gfattach queue` mean: of causes, of verdicts without one, of hygiene."""

from __future__ import annotations

from gfattach.queue.audit.rules import HYGIENE
from gfattach.queue.causes.table import CAUSES

#: Codes of a look in which no cause was seen.
STATES = {
    "queue.idle": "the label is served, and no demand for it is seen in the cluster",
    "queue.starting": "runners of the label are on the way",
    "queue.unknown": "a right is missing without which there is no verdict",
    "queue.audit.clean": "nothing is amiss in the scale sets, listeners and runners",
    "queue.audit.unread": "a right is missing without which something of the audit could not be looked at",
    "queue.owners": "the repositories and what serves them, from evidence",
}

CODES: dict[str, str] = {
    **STATES,
    **{each.code: each.title for each in CAUSES},
    **{each.code: each.title for each in HYGIENE},
}
