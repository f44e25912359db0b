"""Values with fields that are not shown: a secret, or what is no fact about the value."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct


class Redacted(Struct, frozen=True):
    """Value whose `repr` leaves out the fields that `REDACTED` names, so that no log has them."""

    REDACTED: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The fields that are shown, to rich too, which asks for them by this."""
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in self.REDACTED]
