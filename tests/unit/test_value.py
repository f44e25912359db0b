"""What a value shows of itself: never a field that is redacted, to whatever shows it."""

from typing import ClassVar

from rich.pretty import pretty_repr

from gfattach.core.value import Redacted
from gfattach.net.proxy import Proxy


class Told(Redacted, frozen=True):
    REDACTED: ClassVar = frozenset({"secret"})

    name: str
    secret: str = "hush"


def test_a_redacted_field_is_in_no_text_of_a_value_nor_of_what_holds_it():
    for shown in (repr(Told("a")), str(Told("a")), f"{[Told('a')]}", pretty_repr({"x": Told("a")})):
        assert "name='a'" in shown and "hush" not in shown


def test_the_password_of_a_proxy_is_one():
    proxy = Proxy("http", "proxy.example", 3128, username="me", password="hush")
    assert "proxy.example" in pretty_repr(proxy) and "hush" not in repr(proxy) + pretty_repr(proxy)
