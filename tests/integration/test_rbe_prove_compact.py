"""`gfattach rbe prove --execution-log compact` for real, and its evidence falsified afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gfattach.rbe.evidence.write import listing, write_document
from tests.harness.execution.justbuild import justbuild
from tests.harness.execution.prover import Prover, codes_of
from tests.harness.execution.workspaces import make_workspace, new_bazel, old_bazel
from tests.harness.programs.installed import installed

pytestmark = pytest.mark.bazel

#: What a zstd stream begins with (RFC 8878, 3.1.1).
MAGIC = b"\x28\xb5\x2f\xfd"

COMPACT = ("--execution-log", "compact")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with justbuild(tmp_path_factory.mktemp("justbuild")) as server:
        yield server.url


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("letters"))


def have_zstd(workspace: Path) -> None:
    """Show Debian's Bazel the library that it was built without, as its users have to."""
    found = installed("bazel-sid")
    assert found is not None
    (library,) = found.directory.glob("usr/lib/*/libzstd-jni.so")
    (workspace / ".bazelrc").write_text(f"startup --host_jvm_args=-Djava.library.path={library.parent}\n")


@pytest.fixture(scope="module")
def evidence(url: str, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a proof which was asked for by a path from where the command ran."""
    bazel = new_bazel()
    have_zstd(workspace)
    place = tmp_path_factory.mktemp("proof")
    code, document, failed, evidence = Prover(workspace, url, bazel, place)("//:b", *COMPACT, evidence="kept")
    assert (code, failed) == (0, set()), document
    told = document["result"]["evidence"]
    assert told["process_summary"] == "3 processes: 1 internal, 2 remote."
    assert (told["counts"]["executed"], told["counts"]["forced"]) == (2, 2)
    return evidence


def verify(directory: Path) -> tuple[int, set[str]]:
    """The exit code, and the codes of what speaks against it."""
    command = [sys.executable, "-m", "gfattach", "rbe", "verify", str(directory), "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, codes_of(json.loads(done.stdout))


def test_its_evidence_verifies(evidence: Path) -> None:
    assert (evidence / "execution-log").read_bytes().startswith(MAGIC)
    assert verify(evidence) == (0, set())


def test_of_the_remote_calls_the_transfers_are_left_out(evidence: Path) -> None:
    kept = (evidence / "remote-calls.log").read_bytes()
    assert kept.count(b"v2.Execution/Execute") == 2
    assert b"ByteStream" not in kept and b"FindMissingBlobs" not in kept


def relist(directory: Path) -> None:
    """Have the document list its files as they are now: whoever falsifies a file writes its digest anew."""
    document = json.loads((directory / "evidence.json").read_text())
    document["files"] = listing([(each["role"], directory / each["name"]) for each in document["files"]])
    write_document(directory, document)


def of_the_control(directory: Path) -> None:
    shutil.copy(directory / "accepted-cache-execution-log", directory / "execution-log")
    relist(directory)


def without_its_end(directory: Path) -> None:
    log = directory / "execution-log"
    log.write_bytes(log.read_bytes()[:-20])
    relist(directory)


def with_another_nonce(directory: Path) -> None:
    log = directory / "execution-log"
    nonce = json.loads((directory / "evidence.json").read_text())["nonce"].encode()
    said = subprocess.run(["zstd", "-dc", log], capture_output=True, check=True).stdout
    assert said.count(nonce) == 2
    other = said.replace(nonce, nonce[::-1])
    log.write_bytes(subprocess.run(["zstd", "-qc"], input=other, capture_output=True, check=True).stdout)
    relist(directory)


def changed_in_the_midst(directory: Path) -> None:
    log = directory / "execution-log"
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)


FALSIFIED: dict[str, Callable[[Path], None]] = {
    "rbe.proof.cache-hit": of_the_control,
    "rbe.log.truncated": without_its_end,
    "rbe.proof.nonce-missing": with_another_nonce,
    "rbe.evidence.file-digest": changed_in_the_midst,
}


@pytest.mark.parametrize("code", FALSIFIED)
def test_falsified_it_is_refused_by_a_code_of_its_own(evidence: Path, tmp_path: Path, code: str) -> None:
    falsified = tmp_path / "evidence"
    shutil.copytree(evidence, falsified)
    FALSIFIED[code](falsified)
    exit_code, codes = verify(falsified)
    assert exit_code == 4
    assert {code} == codes & FALSIFIED.keys()


def test_a_bazel_without_the_library_is_told_where_it_is(url: str, tmp_path: Path) -> None:
    """Debian's crashes, with the cause in its log alone; nothing is left that looks like evidence."""
    prove = Prover(make_workspace(tmp_path / "letters"), url, new_bazel(), tmp_path)
    code, document, _, evidence = prove("//:a", *COMPACT)
    assert (code, document["error"]["code"]) == (2, "bazel.crashed")
    assert "zstd" in document["error"]["hints"][0]
    assert any("apt-get install libzstd-jni1" in hint for hint in document["error"]["hints"])
    assert document["error"]["hints"][-1].endswith("--execution-log json")
    assert not evidence.exists()


def test_a_bazel_that_has_no_such_log_is_told_which_it_has(url: str, workspace: Path, tmp_path: Path) -> None:
    program, flags = old_bazel()
    code, document, _, evidence = Prover(workspace, url, (program, flags), tmp_path)("//:b", *COMPACT)
    assert (code, document["error"]["code"]) == (2, "rbe.prove.log-format")
    assert document["error"]["fact"].startswith(f"{program} (")
    assert document["error"]["fact"].endswith("writes no compact execution log")
    assert document["error"]["hints"] == [
        "the compact log is written by Bazel 7.1 and later",
        "the JSON log is written by this one too: --execution-log json",
    ]
    assert not evidence.exists()
