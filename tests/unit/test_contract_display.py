"""What of a value is shown: never a secret, not even a part of one."""

import base64

from gfattach.contract.display import shown, shown_text


def test_a_signing_key_in_place_of_the_public_one_is_not_shown_to_its_eightieth_character():
    key = base64.b64encode(b"k" * 64).decode()
    assert shown({"ATTIC_PUBLIC_KEY": f"main:{key}"}, "ATTIC_PUBLIC_KEY") == "main:***"


def test_a_public_key_is_shown():
    key = f"main:{base64.b64encode(b'k' * 32).decode()}"
    assert shown({"ATTIC_PUBLIC_KEY": key}, "ATTIC_PUBLIC_KEY") == key


def test_a_long_text_is_cut_off():
    assert shown_text("a " * 100) == "a " * 40 + "…"
