"""Which signatures prove a substituter's key to the stage, and what to do about those that do not."""

from msgspec.structs import replace

from gfattach.core.finding import Status
from tests.harness.substituters.binary_caches import (
    KEY,
    OTHER_KEY,
    PROBE,
    SIGNED,
    probe_info,
    signed,
    signed_info,
)
from tests.harness.substituters.cases import CASES
from tests.harness.substituters.stage import OTHER_KEY_SAME_NAME, TRUSTED, ask, authority, rig

__all__ = ["authority", "rig"]


def test_a_content_addressed_path_that_is_signed_proves_the_key_too(rig):
    target = rig.published(signed(probe_info(), KEY), probe_path=str(PROBE))
    finding = ask(target)["substituter.signature"]
    assert finding.code == "substituter.signature.ok"
    assert "unsigned" in finding.seen


def test_a_content_addressed_path_of_the_wrong_key_shows_the_wrong_key(rig):
    """Nix would take the path; what comes after it would be refused."""
    target = rig.published(
        signed(probe_info(), KEY), probe_path=str(PROBE), public_keys=(OTHER_KEY_SAME_NAME,)
    )
    assert ask(target)["substituter.signature"].code == "substituter.signature.wrong-key"


def test_a_content_addressed_path_of_an_unknown_key_says_how_to_give_that_key(rig):
    finding = ask(rig.published(signed(probe_info(), OTHER_KEY), probe_path=str(PROBE)))[
        "substituter.signature"
    ]
    assert (finding.code, finding.status) == ("substituter.signature.unproved", Status.WARN)
    assert finding.hints[0].endswith("gfattach up --public-key other-1:BASE64")


def test_a_signature_of_nothing_is_none_to_ask_the_key_of(rig):
    target = rig.published(replace(probe_info(), signatures=("",)), probe_path=str(PROBE))
    finding = ask(target)["substituter.signature"]
    assert finding.code == "substituter.signature.unproved" and "unsigned" in finding.seen
    assert not any("--public-key" in hint for hint in finding.hints)


def test_the_signed_path_is_the_one_that_counts(rig):
    target = rig.published(
        signed(probe_info(), KEY), signed_info(), probe_path=str(PROBE), signed_path=str(SIGNED)
    )
    assert ask(target)["substituter.signature"].code == "substituter.signature.unsigned"


def test_a_key_that_signs_under_another_name_is_given_as_it_should_be_written(rig):
    finding = ask(CASES["substituter.signature.key-name"](rig))["substituter.signature"]
    assert any(TRUSTED in hint for hint in finding.hints)
