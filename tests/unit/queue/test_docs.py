"""docs/queue.md names every cause, in the order of evaluation, and everything that the audit looks for."""

import re
from pathlib import Path

from gfattach.queue.audit.rules import HYGIENE
from gfattach.queue.causes.table import CAUSES

PAGE = (Path(__file__).parents[3] / "docs/queue.md").read_text()


def test_the_page_has_every_cause_in_its_order():
    rows = re.findall(r"^\| (\d+) \| `(\S+)` \| ([a-z ]+) \| (seen|possible) \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (str(place), each.code, each.verdict.value.partition(":")[0], each.certainty.value, each.title)
        for place, each in enumerate(CAUSES, 1)
    ]


def test_the_page_has_everything_that_the_audit_looks_for():
    rows = re.findall(r"^\| `(queue\.audit\.\S+)` \| (.+) \|$", PAGE, re.MULTILINE)
    assert rows == [(each.code, each.title) for each in HYGIENE]
