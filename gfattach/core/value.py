"""Values with fields that are not shown: a secret, or what is no fact about the value."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Redacted(Struct, frozen=True):
    """Value whose `repr` leaves out the fields that `REDACTED` names, so that no log has them."""

    REDACTED: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        names = (name for name in self.__struct_fields__ if name not in self.REDACTED)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
