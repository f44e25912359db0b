"""The score of the doctor: faults are seeded, and their rows in docs/doctor-score.md made anew."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Outcome
from tests.faults.score import PART, missed, row, seeded
from tests.faults.set_ups import SET_UPS

PAGE = Path(__file__).parents[2] / "docs/doctor-score.md"

_HEAD = """# The doctor's score

Faults are seeded on purpose, one or two at a time, into machines of their own: processes are killed and
stopped, files cut off, certificates made wrong, servers made to lie, rights taken away. `gfattach doctor` is
asked as a command, and the seeded cause has to be the first that it names. The faults, and the code that is
expected of each, are data: `tests/faults/catalogue`. One that is missed is seeded once more, because a
machine that is too busy to answer in time is no fault of the seed's.

    python -m tests.faults           all of them, and this table anew
    python -m tests.faults tls nix   these set-ups alone, and their rows anew
    python -m tests.faults --list    each fault with the code that is expected

| set-up | faults | cause first | measured |
|---|---|---|---|
"""


def main(words: list[str]) -> int:
    """Seed all faults, or those of the set-ups that are named; 1 where the score is too low."""
    if words == ["--list"]:
        for fault in FAULTS:
            print(f"{fault.title}  [{' or '.join(fault.expected)}]")
        return 0
    if unknown := set(words) - set(SET_UPS):
        print(f"no set-up: {', '.join(sorted(unknown))}; there are: {', '.join(SET_UPS)}", file=sys.stderr)
        return 2
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    outcomes = seeded([fault for fault in FAULTS if not words or fault.set_up in words], tell)
    _write(outcomes, day)
    print(*missed(outcomes), sep="\n")
    right = sum(outcome.right for outcome in outcomes)
    print(f"{right} of {len(outcomes)}")
    return 0 if right >= PART * len(outcomes) else 1


def tell(outcome: Outcome) -> None:
    """Show that one is done."""
    print(
        f"{'ok  ' if outcome.right else 'MISS'} {outcome.seconds:5.1f} s  {outcome.fault.title}", flush=True
    )


def _write(outcomes: Sequence[Outcome], day: str) -> None:
    """The page, with new rows for the set-ups of `outcomes`."""
    before = PAGE.read_text() if PAGE.exists() else ""
    rows = {found[1]: found[0] for found in re.finditer(r"^\| ([a-z]+) \| \d.*$", before, re.MULTILINE)}
    for set_up in {outcome.fault.set_up for outcome in outcomes}:
        rows[set_up] = row(set_up, [each for each in outcomes if each.fault.set_up == set_up], day)
    kept = [rows[set_up] for set_up in SET_UPS if set_up in rows]
    PAGE.write_text(_HEAD + "\n".join([*kept, _whole(kept)]) + "\n")


def _whole(rows: Iterable[str]) -> str:
    counts = [[int(cell) for cell in re.findall(r"\| (\d+)(?= \|)", each)][:2] for each in rows]
    asked, right = sum(count[0] for count in counts), sum(count[1] for count in counts)
    return f"| **all** | **{asked}** | **{right}** ({100 * right / asked:.1f} %) | |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
