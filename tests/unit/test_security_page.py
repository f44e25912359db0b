"""docs/security.md names what is written, by the names and with the modes that the code uses."""

import re
from pathlib import Path

from gfattach.attach.bazel import headers
from gfattach.credential import index
from gfattach.credential.file_store import FileStore
from gfattach.credential.helper import HELPER_NAME
from gfattach.fragments.home import BAZELRC, NETRC, NIX_CONF
from gfattach.undo.journal import ORIGINALS

PAGE = (Path(__file__).parents[2] / "docs/security.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "mode" not in line]


def test_every_row_has_a_place_and_a_private_mode():
    assert len(ROWS) > 12
    for row in ROWS:
        _, what, where, mode, *_ = (cell.strip() for cell in row.split("|"))
        assert what and where
        assert set(re.findall(r"0\d{3}", mode)) <= {"0600", "0700"}, row
        assert re.search(r"0\d{3}", mode) or "keyring" in where, row


def test_names_are_the_codes():
    table = "\n".join(ROWS)
    for name in (HELPER_NAME, BAZELRC, NETRC, NIX_CONF, ORIGINALS, headers._PREFIX):
        assert f"/{name}" in table
    for path in (FileStore().path, index.path()):
        assert f"{path.parent.name}/{path.name}" in table
