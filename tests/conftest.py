"""What holds for every test: interrupts as usual, and a home and XDG directories that are nobody's.

Generated examples are the same in every run, and none has a time limit: a test that passed does not fail
for another's load. `pytest --hypothesis-profile=search` looks for new ones.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.programs.short_lived import OPTIONS
from tests.harness.times.kept import FAST, in_order, quick
from tests.harness.times.of_run import Times

#: The directories of a user by their variables, and where they are below HOME without one.
_BELOW_HOME = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_CACHE_HOME": ".cache",
    "XDG_STATE_HOME": ".local/state",
    "XDG_DATA_HOME": ".local/share",
}

#: What the tests themselves keep there from run to run.
_KEPT = "gfattach-tests"

_UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", _UNHURRIED)
settings.register_profile("same", _UNHURRIED, derandomize=True)
settings.load_profile("same")  # before any module of tests is read: what they set builds on it

#: A checker of one format of JSON Schema, which no schema here has. It reads 39 grammars when it is imported,
#: 7 processor seconds in each process that validates anything; without it that format is unchecked.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

_REAL: dict[str, Path] = {}
_MADE: list[Path] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option by which a run of the tests brings the examples of codes up to date."""
    parser.addoption(
        "--fast",
        action="store_true",
        help="only tests that need no Bazel, Nix or cluster, and are not slow by tests/times.json",
    )
    parser.addoption(
        "--times",
        action="store_true",
        help="show the seconds of each file, and keep them and those of slow tests in tests/times.json",
    )
    parser.addoption(
        "--record-codes",
        action="store_true",
        help="keep an example of each code in gfattach/codes/examples.json",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Record what this process and its children make, where that is asked for."""
    if session.config.getoption("--record-codes"):
        from tests.harness.machine.developer import RECORD, RECORDING
        from tests.harness.recording.sitecustomize import install

        if RECORD not in os.environ:
            os.environ["GFATTACH_REAL_HOME"] = str(_REAL["HOME"])
            os.environ[RECORD] = tempfile.mkdtemp(prefix="gfattach-codes-")
            os.environ["PYTHONPATH"] = str(RECORDING)
        install(os.environ[RECORD])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Merge what was recorded, once, in the process that began it."""
    if session.config.getoption("--record-codes") and not hasattr(session.config, "workerinput"):
        from tests.harness.machine.developer import RECORD
        from tests.harness.recording.examples import merge

        merge(Path(os.environ[RECORD]))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have the workers begin with the longest files; leave out what is slow, where that is asked for."""
    if config.getoption("--fast"):
        kept = [item for item in quick(items) if item.nodeid.startswith(FAST)]
        left = {item.nodeid for item in kept}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in left])
        items[:] = kept
    if hasattr(config, "workerinput"):
        in_order(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the fetched programs whose suite has moved on, below what failed."""
    from tests.harness.programs.held import moved_on

    for line in moved_on():
        terminalreporter.write_line(line, yellow=True)


def pytest_configure(config: pytest.Config) -> None:
    """Take interrupts as usual, though whoever started the tests may ignore them: children inherit that.

    And have everything of the user's point into a temporary directory, for fixtures of a whole session too.
    """
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # by how many tests a file has says nothing of its seconds
    if config.getoption("--times") and not config.getoption("--fast") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Times(), "times")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if _MADE:
        return
    _REAL.update(_places(os.environ))
    os.environ.update(_of_the_tools(os.environ))
    made = Path(tempfile.mkdtemp(prefix="gfattach-home-"))
    _MADE.append(made)
    own = {"HOME": "home", "XDG_RUNTIME_DIR": "run"}
    own |= {name: f"home/{place}" for name, place in _BELOW_HOME.items()}
    for name, place in own.items():
        (made / place).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[name] = str(made / place)


def pytest_unconfigure() -> None:
    """Remove what was made; the process ends with the environment that the tests had."""
    while _MADE:
        shutil.rmtree(_MADE.pop(), ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def users_own_files() -> Iterator[None]:
    """Holds all of a session to it: nothing of gfattach's is made or changed among the user's real files."""
    yield from holding(files_of_gfattach)


def holding(look: Callable[[], dict[str, tuple[int, int, int]]]) -> Iterator[None]:
    """Fail where `look` sees other files afterwards than before."""
    before = look()
    yield
    changed = {path for path, _ in before.items() ^ look().items()}
    assert not changed, f"a test has touched the real home: {sorted(changed)}"


def _places(environ: Mapping[str, str]) -> dict[str, Path]:
    """The real directories, by the variables that name them."""
    home = Path(environ.get("HOME") or Path.home())
    found = {name: Path(environ.get(name) or home / place) for name, place in _BELOW_HOME.items()}
    runtime = environ.get("XDG_RUNTIME_DIR")
    return {"HOME": home, **found, **({"XDG_RUNTIME_DIR": Path(runtime)} if runtime else {})}


def _of_the_tools(environ: Mapping[str, str]) -> dict[str, str]:
    """Where the tests' own cache is, and those of the tools that fill it: there as before. And for Java."""
    home, cache, config = (_REAL[name] for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"))
    wanted = {
        "GFATTACH_TEST_CACHE": home / ".cache" / _KEPT,
        "GOPATH": home / "go",
        "GOCACHE": cache / "go-build",
        "GOENV": config / "go/env",
        "npm_config_cache": home / ".npm",
        "npm_config_userconfig": home / ".npmrc",
        # Of every Bazel that a test starts by itself: it lives for a few commands. (7.7.1's takes none.)
        "JDK_JAVA_OPTIONS": " ".join(OPTIONS),
    }
    return {name: str(path) for name, path in wanted.items() if not environ.get(name)}


def files_of_gfattach() -> dict[str, tuple[int, int, int]]:
    """All below what has gfattach's name in the real directories: identity, size and time of change."""
    found: dict[str, tuple[int, int, int]] = {}
    for place in _REAL.values():
        for top in place.glob("*gfattach*"):
            if top.name == _KEPT:
                continue
            for path in (top, *top.rglob("*")):
                with contextlib.suppress(FileNotFoundError):  # somebody's gfattach may be at work
                    status = path.lstat()
                    found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found
