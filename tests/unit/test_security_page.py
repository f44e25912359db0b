"""docs/security.md names what is written, by the code's names and modes, and tests that are there."""

import re
from pathlib import Path

from gfattach.attach.bazel import headers
from gfattach.core.paths import Home
from gfattach.credential import index
from gfattach.credential.file_store import FileStore
from gfattach.credential.helper import HELPER_NAME
from gfattach.fragments.home import BAZELRC, NETRC, NIX_CONF

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
WRITTEN, THREATS = (
    [line for line in part.splitlines() if line.startswith("| ") and "mode" not in line.split("|")[3:4]]
    for part in (PAGE.partition("## What it writes")[2], PAGE.partition("## What nobody must assume")[0])
)
ROWS = [row for row in WRITTEN if not row.startswith("| what ")]
PROMISES = [row for row in THREATS if "held by" not in row]


def test_every_row_has_a_place_and_a_private_mode():
    assert len(ROWS) > 12
    for row in ROWS:
        _, what, where, mode, *_ = (cell.strip() for cell in row.split("|"))
        assert what and where
        assert set(re.findall(r"0\d{3}", mode)) <= {"0600", "0700"}, row
        assert re.search(r"0\d{3}", mode) or "keyring" in where, row


def test_names_are_the_codes():
    table = "\n".join(ROWS)
    originals = Home(Path("/w/.gfattach"), Path("/w")).originals.name
    for name in (HELPER_NAME, BAZELRC, NETRC, NIX_CONF, originals, headers._PREFIX):
        assert f"/{name}" in table
    for path in (FileStore().path, index.path()):
        assert f"{path.parent.name}/{path.name}" in table


def test_every_line_of_the_threat_model_names_the_test_that_holds_it():
    assert len(PROMISES) > 25
    for row in PROMISES:
        tests = re.findall(r"`(tests/[\w/]+\.py)`", row.strip("| ").rpartition(" | ")[2])
        assert tests, row
        for name in tests:
            assert (ROOT / name).is_file(), f"{name}, for: {row}"
