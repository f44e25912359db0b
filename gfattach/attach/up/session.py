"""One attach under way: what its two halves share, and what they leave behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gfattach.attach.model import record as records
from gfattach.attach.model.options import UpOptions
from gfattach.attach.model.record import Attachment
from gfattach.attach.route.route import Route
from gfattach.core.engine import Run
from gfattach.core.errors import GfattachError
from gfattach.core.paths import Home
from gfattach.proof.measure import Measurement


@dataclass
class UpSession:
    """`record` is what is on disk; `not_proved` and `failures` grow as halves fall away.

    `plaintext_before` says that an earlier attach had a forward end TLS of a cache that is dialled directly.
    `bazel_use` and `nix_use` are the lines that tell a person how to use what was written.
    """

    options: UpOptions
    home: Home
    route: Route
    run: Run
    record: Attachment
    measurement: Measurement
    not_proved: list[str] = field(default_factory=list)
    failures: list[GfattachError] = field(default_factory=list)
    plaintext_before: bool = False
    bazel_use: Sequence[str] = ()
    nix_use: str = ""

    def save(self, **changes: Any) -> None:
        """Change the record, in memory and on disk. Raises StorageError."""
        self.record = replace(self.record, **changes)
        records.save(self.home, self.record)

    @contextmanager
    def isolate_failure(self, half: str) -> Iterator[None]:
        """Go on with the other half when this one fails here; the checklist has shown it by then."""
        try:
            yield
        except GfattachError as error:
            self.failures.append(error)
            self.not_proved.append(f"{half}: {error.fact}")
