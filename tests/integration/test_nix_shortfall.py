"""A store path that does not come though the cache has it: what is said of it, with a real Nix."""

import os
import re

import pytest
from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import UnprovedError
from gfattach.nixcache.storepath import parse_base_name
from gfattach.nixcache.target import SubstituterTarget
from gfattach.proof.nix import phases as nix_hit
from tests.harness.machine.nixes import real_nix, untouched  # noqa: F401
from tests.harness.substituters.binary_caches import (
    KEY,
    OTHER_KEY,
    PROBE,
    SIGNED,
    probe_info,
    publishing,
    serving,
    signed,
    signed_info,
)

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

#: What the path refers to.
BASE = parse_base_name("0c0v1gmxbkz4i0hp0d3kfyvjrrzfp4ks-base")
REFERRING = signed(signed_info(references=(BASE,)), KEY)
BASE_INFO = replace(signed_info(), store_path=BASE, url="nar/base.nar.xz")


def phase_of(tmp_path, *infos):
    with serving(publishing(*infos)) as port:
        target = SubstituterTarget(parse_endpoint(f"http://127.0.0.1:{port}"), (str(KEY.public_key),))
        return nix_hit.hit(
            real_nix(),
            target,
            tmp_path,
            [f"{SIGNED}/bin/x"],
            deadline=Deadline.after(60),
            environ=os.environ,
        )


def test_a_path_comes_with_what_it_refers_to(tmp_path):
    phase = phase_of(tmp_path, REFERRING, signed(BASE_INFO, KEY))
    assert phase.detail["paths"][str(SIGNED)] == "hit" and phase.detail["substituted"] == 2
    assert "reason" not in phase.detail


def test_a_path_whose_references_are_elsewhere_is_told_apart_from_one_that_is_missing(tmp_path):
    """An Attic leaves out what cache.nixos.org has, and cannot serve such a path alone."""
    phase = phase_of(tmp_path, REFERRING)
    assert phase.hits == 0 and phase.detail["nothing_to_hit"] is True
    assert phase.detail["paths"] == {str(PROBE): "not-published", str(SIGNED): "incomplete"}
    assert phase.detail["reason"] == f"the cache has {SIGNED} and lacks {BASE}, which it refers to"
    assert any("--ignore-upstream-cache-filter" in remedy for remedy in phase.detail["remedies"])


def test_beside_a_hit_it_is_the_reason_why_not_all_came(tmp_path):
    phase = phase_of(tmp_path, REFERRING, probe_info())
    assert (phase.hits, phase.asked) == (1, 2)
    assert str(BASE) in phase.detail["reason"]


@pytest.mark.parametrize("keys", [(), (OTHER_KEY,)], ids=["unsigned", "another key"])
def test_a_reference_that_nobody_trusted_has_signed_is_a_matter_of_signatures(tmp_path, keys):
    with pytest.raises(UnprovedError, match=re.escape(str(BASE))) as caught:
        phase_of(tmp_path, REFERRING, signed(BASE_INFO, *keys))
    assert caught.value.code == "nix.signature"
    phase = phase_of(tmp_path, REFERRING, signed(BASE_INFO, *keys), probe_info())
    assert str(BASE) in phase.detail["reason"] and "public key" in phase.detail["remedies"][0]


def test_a_person_who_names_such_a_path_reads_why_it_did_not_come_and_stays_attached(machine):
    with serving(publishing(REFERRING)) as port:
        site = ("--substituter", f"http://127.0.0.1:{port}", "--public-key", str(KEY.public_key))
        done = machine.run("up", *site, "--no-bazel", "--nix-path", str(SIGNED), "--output", "plain")
        assert done.returncode == 0 and "export NIX_CONFIG" in done.stdout, done.stderr
        assert f"lacks {BASE}" in done.stderr and f"lacks {BASE}" in done.stdout
        assert "site warm" not in done.stderr + done.stdout, "that fills a Bazel cache"
        proved = machine.run("prove", "--no-bazel", "--nix-path", str(SIGNED), "--output", "plain")
        assert proved.returncode == 4 and f"lacks {BASE}" in proved.stdout
