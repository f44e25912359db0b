"""The page of what each Nix does when its substituter fails is what the Nixes at hand do, and the texts of
gfattach follow from it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gfattach.nix.program import Nix
from tests.harness.machine import nix_failures
from tests.harness.machine.nixes import real_nix

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

PAGE = Path(__file__).parents[2] / "docs" / "nix-failures.md"

#: Rows that a change of Nix would move; the page has all of them, by a command.
HELD = [
    "port refuses, used before",
    "port refuses, used before; another cache has the path",
    "`nix-cache-info`: a login page",
    "`nix-cache-info`: another StoreDir",
    "narinfo: 403",
    "narinfo: 503",
    "info and narinfo typed `text/html`",
    "signed by another key",
    "signed well, and `Sig: garbage`",
    "signed anew since it was asked",
    "pushed since it was asked",
    "NAR: 404",
    "narinfo in `identity`",
    "`/my+cache`, at a server that undoes escapes",
]


@pytest.fixture(scope="module")
def nix(each_nix) -> Nix:
    return real_nix()


def cells(version: str) -> dict[str, str]:
    """What the page says of the Nix of this version, by row."""
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("|")
    ]
    place = next((n for n, label in enumerate(rows[0]) if label.endswith(f"-{version}")), None)
    assert place is not None, f"the page has no Nix {version}: {nix_failures.__doc__}"
    return {row[0]: row[place] for row in rows[2:]}


def test_the_page_has_every_row_for_each_nix(nix):
    assert set(cells(nix.version)) == set(nix_failures.ROWS)


@pytest.mark.parametrize("row", HELD)
def test_a_nix_does_what_the_page_says(nix, row):
    ended = nix_failures.cell(nix.path, nix_failures.ROWS[row])
    how = re.split(r"[:(]", cells(nix.version)[row])[0].strip()
    assert ended.how == how, ended.said
