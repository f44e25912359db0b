"""Services, slices and pods of any shape: a fact or an error, and nothing that harms a terminal."""

import json
import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gfattach.cluster.api import objects
from gfattach.cluster.api.endpoint_selection import none_ready, select_port
from gfattach.cluster.api.fields import ITEM_LIMIT, MESSAGE_LIMIT, one_line
from gfattach.cluster.api.pod_state import worst
from gfattach.core.errors import ClusterError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "metadata",
        "spec",
        "status",
        "name",
        "namespace",
        "ports",
        "port",
        "targetPort",
        "selector",
        "type",
        "clusterIP",
        "conditions",
        "endpoints",
        "targetRef",
        "kind",
        "containerStatuses",
        "state",
        "waiting",
        "terminated",
        "reason",
        "message",
        "exitCode",
        "labels",
        "items",
    ]
)
SHAPED = st.recursive(
    JSON,
    lambda inner: st.dictionaries(KEYS, inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=30,
)


@pytest.mark.parametrize("read", [objects.service, objects.endpoint_slice, objects.pod])
@settings(max_examples=150, deadline=None)
@given(document=st.dictionaries(KEYS, SHAPED, max_size=6))
@example(document={"spec": {"ports": [{"port": True}]}})
@example(document={"spec": {"ports": [{"port": 0}]}})
@example(document={"spec": {"ports": [{"port": 1, "targetPort": 70000}]}})
@example(document={"status": {"containerStatuses": [{"state": {"waiting": []}}]}})
@example(document={"endpoints": [{"conditions": {"ready": "yes"}}]})
def test_any_json_is_a_fact_or_an_error_of_its_own(read, document):
    try:
        found = read(document)
    except ClusterError as error:
        assert error.code == "cluster.api.unreadable" and "\n" not in error.fact
        return
    if read is objects.pod:
        assert all(len(reason) <= MESSAGE_LIMIT for _, reason in filter(None, [worst([found])]))


NAMES = st.text(max_size=300)


@settings(max_examples=100, deadline=None)
@given(
    namespace=NAMES,
    name=NAMES,
    selector=st.dictionaries(NAMES, NAMES, max_size=3),
    wanted=st.text(max_size=9),
)
@example(namespace="n", name="$(reboot)\x1b[2J", selector={"a": "'; reboot"}, wanted="9092")
def test_names_of_any_kind_harm_neither_a_terminal_nor_who_copies_a_hint(namespace, name, selector, wanted):
    found = objects.service(
        {
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"selector": selector, "ports": [{"name": name, "port": 9092}]},
        }
    )
    try:
        port = select_port(found, wanted)
        error = none_ready(found, port, [objects.pod({"metadata": {"name": name}})], 1)
    except ClusterError as refused:
        error = refused
    assert error.fact.isprintable() and all(hint.isprintable() for hint in error.hints)
    for hint in error.hints:
        if "kubectl" in hint:
            words = shlex.split(hint.partition("kubectl ")[2])
            assert words[0] == "-n" and "reboot" not in words


@settings(max_examples=100, deadline=None)
@given(document=st.dictionaries(st.just("items"), SHAPED))
def test_a_list_of_anything_is_facts_or_an_error(document):
    try:
        objects.listed(document, objects.pod)
    except ClusterError as error:
        assert error.code == "cluster.api.unreadable"


def test_a_list_without_end_is_read_to_a_limit():
    assert len(objects.listed({"items": [{}] * (ITEM_LIMIT + 5)}, objects.pod)) == ITEM_LIMIT


@given(st.text())
@example("\x1b[2J\r\nred" * 10_000)
def test_what_the_cluster_says_is_one_short_line_harmless_to_a_terminal(said):
    line = one_line(said)
    assert len(line) <= MESSAGE_LIMIT and (line.isprintable() or not line)
    json.dumps(line)
