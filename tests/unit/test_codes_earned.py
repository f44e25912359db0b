"""Every code that the stages of Bazel and of Nix declare is asked for by a test, spelt out.

The other stages hold their tables of cases to what they declare, each beside its cases.
"""

import re
from pathlib import Path

import pytest

from gfattach.probes.bazel import stage as bazel
from gfattach.probes.nix import stage as nix

TESTS = Path(__file__).parents[1]
DECLARED = [code for stage in (bazel.STAGE, nix.STAGE) for probe in stage.probes for code in probe.codes]


@pytest.fixture(scope="module")
def said() -> set[str]:
    texts = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    return {word for text in texts for word in re.findall(r'"([a-z-]+\.[a-z.-]+)"', text)}


@pytest.mark.parametrize("code", DECLARED)
def test_a_code_that_is_declared_is_asked_for(code, said):
    assert code in said
