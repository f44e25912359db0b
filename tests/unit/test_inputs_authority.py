"""The gate of external inputs says no until a durable authority was seen, lately, to hold every one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.inputs.authority.states import Offer, State, gate_of, standing_of
from gfattach.inputs.model.input import Input, Kind
from tests.harness.inputs.contracts import archive

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ONE = archive("one", b"one", "https://h/one")
TWO = archive("two", b"two", "https://h/two")
MIRROR = Offer("mirror", "https://m", True)
DISTDIR = Offer("distdir", "/d", False)


def seen(offer, item, days):
    return {offer.key: {item.checksum.sri: NOW - timedelta(days=days)}}


@pytest.mark.parametrize(
    ("item", "offers", "evidence", "state"),
    [
        (Input("git", Kind.GIT), [MIRROR], {}, State.NONE),
        (Input("unhashed", Kind.UNHASHED, ("https://h/x",)), [MIRROR], {}, State.NONE),
        (ONE, [], {}, State.UPSTREAM),
        (Input("registry", Kind.REGISTRY, (), ONE.checksum), [], {}, State.NONE),
        (ONE, [MIRROR], {}, State.UPSTREAM),
        (ONE, [MIRROR], seen(MIRROR, TWO, 1), State.UPSTREAM),
        (ONE, [MIRROR], seen(MIRROR, ONE, 8), State.UPSTREAM),
        (ONE, [MIRROR], seen(MIRROR, ONE, -1), State.UPSTREAM),
        (ONE, [MIRROR], seen(MIRROR, ONE, 6.9), State.DURABLE_MIRROR),
        (ONE, [DISTDIR], seen(DISTDIR, ONE, 1), State.EPHEMERAL),
        (ONE, [DISTDIR, MIRROR], seen(DISTDIR, ONE, 1) | seen(MIRROR, ONE, 1), State.DURABLE_MIRROR),
        (ONE, [Offer("distdir", "/d", True)], seen(DISTDIR, ONE, 1), State.DURABLE_DISTDIR),
        (
            ONE,
            [Offer("repository-cache", "/r", True)],
            {"repository-cache:/r": seen(MIRROR, ONE, 1)[MIRROR.key]},
            State.DURABLE_CACHE,
        ),
    ],
)
def test_the_state_of_an_input_follows_from_offers_and_dated_evidence(item, offers, evidence, state):
    found = standing_of(item, offers, evidence, NOW, 7)
    assert found.state is state
    assert bool(found.why) is not state.durable


def test_one_input_without_a_durable_authority_keeps_the_gate_shut():
    both = {MIRROR.key: {each.checksum.sri: NOW for each in (ONE, TWO)}}
    assert gate_of([ONE, TWO], [MIRROR], both, 7, NOW).open
    shut = gate_of([ONE, TWO], [MIRROR], seen(MIRROR, ONE, 0), 7, NOW)
    assert (shut.open, shut.state, shut.answer) == (False, State.UPSTREAM, "no-live-durable-authority")


@given(st.lists(st.sampled_from([ONE, TWO, Input("git", Kind.GIT)]), min_size=1), st.floats(0.1, 366))
def test_without_evidence_the_answer_is_no_whatever_the_site_offers(inputs, days):
    offers = [Offer(kind, "/x", True) for kind in ("repository-cache", "distdir", "mirror")]
    assert not gate_of(inputs, offers, {}, days, NOW).open
