"""Which store may be used in which role: the operator's word decides, and `interim_only` is never trusted."""

import pytest

from gfattach.core.errors import RefusedError, UsageError
from gfattach.site.authority import GUARDED, demand_authority, uses
from gfattach.site.load import read_alone
from gfattach.site.settings import STORE_ROLES, authority_key

TRUSTED = [role for role in STORE_ROLES if role not in GUARDED]


def site(**values):
    return read_alone({key.replace("__", "."): value for key, value in values.items()}, "a file")


def allowing(role, store, **more):
    return site(**{authority_key(role).replace(".", "__"): [store]}, **more)


@pytest.mark.parametrize("role", TRUSTED)
def test_an_interim_store_in_a_trusted_role_is_refused_with_the_reason(role):
    with pytest.raises(RefusedError) as caught:
        demand_authority(allowing(role, "rustfs", authority__interim_only=["rustfs"]))
    assert caught.value.code == "site.authority.interim"
    assert "rustfs is interim_only" in caught.value.fact and role in caught.value.fact
    assert "a canary that passed promotes nothing: only a durable store may be trusted" in caught.value.hints


@pytest.mark.parametrize("role", GUARDED)
def test_reads_and_probes_need_no_durable_store(role):
    found = allowing(role, "rustfs", authority__interim_only=["rustfs"])
    demand_authority(found)
    assert [use.allowed for use in uses(found)] == [True]


@pytest.mark.parametrize("role", TRUSTED)
def test_a_store_of_which_nothing_is_said_is_not_allowed_and_refuses_nothing(role):
    found = allowing(role, "ceph")
    demand_authority(found)
    assert [(use.allowed, use.promise) for use in uses(found)] == [(False, "unknown")]
    assert [use.allowed for use in uses(allowing(role, "ceph", authority__durable=["ceph"]))] == [True]


def test_the_weaker_word_counts_where_two_are_said():
    found = allowing("cas", "s", authority__durable=["s"], authority__interim_only=["s"])
    with pytest.raises(RefusedError):
        demand_authority(found)


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"nix__object_store": "interim_only"}, False),
        ({"nix__object_store": "interim_only", "authority__read": ["nix"]}, False),
        ({"nix__object_store": "interim_only", "authority__attic_publish": ["nix"]}, True),
        ({"nix__object_store": "durable", "authority__attic_publish": ["nix"]}, False),
        ({"cache__object_store": "interim_only"}, False),
        ({"cache__object_store": "interim_only", "cache__upload": "never"}, False),
        ({"cache__object_store": "interim_only", "cache__upload": "trusted"}, True),
        ({"cache__object_store": "durable", "cache__upload": "trusted"}, False),
        ({"cache__upload": "trusted"}, False),
    ],
)
def test_the_stores_below_the_sites_own_caches_count_too(values, refused):
    if refused:
        with pytest.raises(RefusedError):
            demand_authority(site(**values))
    else:
        demand_authority(site(**values))


def test_no_role_is_allowed_to_anything_by_default():
    assert uses(site()) == ()


@pytest.mark.parametrize(
    "key", ["authority.canary", "authority.canary_passed_after_restart", "authority.proved"]
)
def test_a_canary_has_no_place_in_a_site(key):
    from gfattach.site.document import raw_values

    table, _, name = key.partition(".")
    with pytest.raises(UsageError) as caught:
        raw_values({table: {name: True}}, "a file")
    assert caught.value.code == "site.key.unknown"
