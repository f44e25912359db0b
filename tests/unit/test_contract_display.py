"""What of a value is shown: never a secret, not even a part of one."""

import base64

import pytest

from gfattach.contract.model.display import shown, shown_text
from gfattach.contract.substrate import classify


def test_a_signing_key_in_place_of_the_public_one_is_not_shown_to_its_eightieth_character():
    key = base64.b64encode(b"k" * 64).decode()
    assert shown({"ATTIC_PUBLIC_KEY": f"main:{key}"}, "ATTIC_PUBLIC_KEY") == "main:***"


def test_a_public_key_is_shown():
    key = f"main:{base64.b64encode(b'k' * 32).decode()}"
    assert shown({"ATTIC_PUBLIC_KEY": key}, "ATTIC_PUBLIC_KEY") == key


def test_a_long_text_is_cut_off():
    assert shown_text("a " * 100) == "a " * 40 + "…"


@pytest.mark.parametrize(
    ("endpoint", "seen"),
    [
        ("GRPC://h:1", "BAZEL_REMOTE_CACHE is GRPC://h:1, and does not begin with grpc://"),
        ("grpc://me:canary@h:1", "BAZEL_REMOTE_CACHE is grpc://…: the endpoint holds a user or password"),
        ("grpc://h:99999", "BAZEL_REMOTE_CACHE is grpc://h…: the port of the endpoint is no number"),
    ],
)
def test_what_is_wrong_with_an_endpoint_shows_in_what_is_said_of_it(endpoint, seen):
    (reason,) = classify({"BAZEL_REMOTE_CACHE": endpoint}).reasons
    assert reason.seen.startswith(seen)
