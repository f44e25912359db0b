"""`--times`: the seconds of each file in the run that is under way, for the next one to be ordered by."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.harness.times.kept import file_of, keep

#: How many files are shown.
SHOWN = 40


class Times:
    """A plugin of the process that all reports come to: sums up set-up, call and end of each test."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one phase of one test."""
        self._found[report.nodeid] += report.duration  # type: ignore[assignment]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the longest, and keep them all."""
        terminalreporter.section("seconds of each file")
        files: Counter[str] = Counter()
        for test, seconds in self._found.items():
            files[file_of(test)] += seconds
        for file, seconds in files.most_common(SHOWN):
            terminalreporter.write_line(f"{seconds:8.1f}  {file}")
        whole = sum(files.values())
        terminalreporter.write_line(f"{whole:8.1f}  all {len(files)} files, on all workers together")
        keep(self._found)
