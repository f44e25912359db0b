"""The stage of the machine: from facts to findings, and the facts of this very machine."""

from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.probes.machine.facts import Disk, MachineFacts, read_facts
from gfattach.probes.machine.stage import STAGE

GIB = 1024**3
GOOD = MachineFacts(
    system="Linux",
    architecture="aarch64",
    processors=4,
    memory=3 * GIB,
    total_memory=4 * GIB,
    descriptors=1024,
    most_descriptors=4096,
    wsl=None,
    disks=(Disk(Path("/home"), 20 * GIB, 32 * GIB, 2_000_000, False),),
    socket_path=Path("/run/user/1000/gfattach/0a1b2c3d/cache.sock"),
    environ={},
)


def disk(**changes):
    return replace(GOOD, disks=(replace(GOOD.disks[0], **changes),))


CASES = {
    "machine.disk.small": disk(free=GIB),
    "machine.disk.full": disk(free=1024),
    "machine.disk.read-only": disk(read_only=True),
    "machine.inodes.few": disk(inodes=5000),
    "machine.inodes.none": disk(inodes=10),
    "machine.memory.small": replace(GOOD, memory=300 * 1024**2),
    "machine.memory.untold": replace(GOOD, memory=None),
    "machine.descriptors.few": replace(GOOD, descriptors=64),
    "machine.socket.long": replace(GOOD, socket_path=Path("/" + "d" * 120)),
    "machine.proxy.excepted": replace(
        GOOD, environ={"https_proxy": "http://proxy.example:3128", "no_proxy": "localhost,.example"}
    ),
    "machine.proxy.loopback": replace(GOOD, environ={"HTTP_PROXY": "http://proxy.example:3128"}),
    "machine.kernel.wsl2": replace(GOOD, wsl="5.15.90.1-microsoft-standard-WSL2"),
    "machine.kernel.wsl1": replace(GOOD, wsl="4.4.0-19041-Microsoft"),
}


def codes(facts):
    return {finding.code for finding in Run().stage(STAGE, facts).findings.values()}


def test_of_a_good_machine_every_finding_is_good():
    result = Run().stage(STAGE, GOOD)
    assert {finding.status for finding in result.findings.values()} == {Status.OK}


@pytest.mark.parametrize("code", CASES)
def test_what_is_wrong_in_one_thing_has_its_code_and_changes_no_other(code):
    new = codes(CASES[code]) - codes(GOOD)
    assert new == {code}


def test_every_code_of_the_stage_has_a_case():
    declared = {code for probe in STAGE.probes for code in probe.codes}
    assert declared == set(CASES) | codes(GOOD)


def test_a_password_of_a_proxy_is_in_no_finding():
    facts = replace(GOOD, environ={"http_proxy": "http://me:s3cret@proxy.example:3128"})
    shown = str([asdict(finding) for finding in Run().stage(STAGE, facts).findings.values()])
    assert "s3cret" not in shown


def test_this_machine_is_read_with_nothing_changed(tmp_path):
    facts = read_facts({"HOME": "/h"}, (tmp_path / "not" / "there", tmp_path), tmp_path / "s.sock")
    assert facts.processors >= 1 and facts.descriptors > 0
    [disk] = facts.disks
    assert 0 < disk.free <= disk.total and not disk.read_only
    assert list(tmp_path.iterdir()) == []
