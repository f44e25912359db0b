"""Bazel's event file and its summary line, as versions from 2 to 8 write them."""

import json
from pathlib import Path

import pytest

from gfattach.bazel.logs.events import BuildEvents, Options, parse_summary, private_files, read_events
from gfattach.core.errors import BazelError

DATA = Path(__file__).parent / "data" / "bazel"


@pytest.fixture
def events(tmp_path):
    def write(*lines):
        path = tmp_path / "events.json"
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        return read_events(path)

    return write


@pytest.mark.parametrize("version", ["2.1.0", "4.2.3"])
def test_a_real_event_file(version):
    """Recorded with that Bazel, cut to the events that are read; neither counts runners yet."""
    found = read_events(DATA / f"{version}-hit.events.json")
    assert found.spawns is None
    assert found.started is not None and found.started > 1.7e9
    assert found.options is not None
    assert found.options.effective("remote_cache").startswith("grpc://127.0.0.1:")
    assert found.options.effective("remote_executor") == ""
    assert found.options.effective("remote_upload_local_results") == "0"
    assert found.options.effective("remote_accept_cached") == "1"
    assert found.options.effective("jobs") is None


def test_runners_are_counted_without_internal_work(events):
    """The form of Bazel 5 and later."""
    counts = [
        ("total", 23),
        ("remote cache hit", 20),
        ("disk cache hit", 1),
        ("linux-sandbox", 1),
        ("internal", 1),
    ]
    entries = [{"name": name, "count": count} for name, count in counts]
    spawns = events({"buildMetrics": {"actionSummary": {"runnerCount": entries}}}).spawns
    assert spawns is not None
    assert (spawns.total, spawns.remote_hits, spawns.disk_hits, spawns.local, spawns.remote) == (
        22,
        20,
        1,
        1,
        0,
    )


def test_a_file_that_was_cut_off_says_what_it_holds(events):
    found = events({"started": {"startTimeMillis": "1500"}}, '{"finished": {"exitCo')
    assert found == BuildEvents(started=1.5)


def test_no_file_says_nothing(tmp_path):
    assert read_events(tmp_path / "none") == BuildEvents()


def test_a_file_of_another_kind_is_a_typed_error(tmp_path):
    (tmp_path / "events.json").write_text("\x00\x01binary\n")
    with pytest.raises(BazelError) as caught:
        read_events(tmp_path / "events.json")
    assert caught.value.code == "bazel.events"


@pytest.mark.parametrize(
    "odd",
    [
        {"started": "no object"},
        {"started": {"startTimeMillis": "soon"}},
        {"optionsParsed": {"cmdLine": "no list"}},
        {"finished": {"exitCode": None}},
        {"buildMetrics": {"actionSummary": {"runnerCount": [1, None]}}},
        [],
        7,
    ],
)
def test_events_of_an_unexpected_form_do_no_harm(events, odd):
    assert isinstance(events(odd), BuildEvents)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (["--disk_cache=/a", "--disk_cache="], ""),
        (["--disk_cache=/a"], "/a"),
        (["--disk_cache"], "1"),
        (["--disk_cache=/a", "--nodisk_cache"], "0"),
        (["--disk_cachex=/a", "--other=--disk_cache=/a"], None),
    ],
)
def test_the_last_option_wins(line, value):
    assert Options(tuple(line)).effective("disk_cache") == value


def test_ones_own_options_can_be_taken_out_again():
    """Of an option that the rc files give too, only the typed one goes."""
    options = Options(("--a=1", "--b", "--a=", "--b", "--c"), ("--a=", "--b", "--c"))
    left = options.without(["--a=", "--b", "--c", "--d"])
    assert left == Options(("--a=1", "--b"), ())


@pytest.mark.parametrize(
    ("text", "runners", "line"),
    [
        (
            "INFO: 7 processes: 6 remote cache hit, 1 internal.",
            {"remote cache hit": 6},
            "7 processes: 6 remote cache hit, 1 internal.",
        ),
        ("INFO: 20 processes: 20 local.", {"local": 20}, "20 processes: 20 local."),
        ("INFO: 1 process: 1 internal.", {}, "1 process: 1 internal."),
        ("INFO: 0 processes.", {}, "0 processes."),
        (
            "\x1b[32mINFO: \x1b[0m3 processes: 3 linux-sandbox.",
            {"linux-sandbox": 3},
            "3 processes: 3 linux-sandbox.",
        ),
        (
            "INFO: 1 process: 1 local.\nINFO: x\nINFO: 9 processes: 2 disk cache hit, 7 remote.\n",
            {"disk cache hit": 2, "remote": 7},
            "9 processes: 2 disk cache hit, 7 remote.",
        ),
    ],
)
def test_the_summary_line(text, runners, line):
    spawns, said = parse_summary(text)  # type: ignore[misc]
    assert (dict(spawns.runners), said) == (runners, line)


@pytest.mark.parametrize(
    "text", ["", "INFO: Elapsed time: 1 s", "Running 7 processes: a lot", "7 processes wait"]
)
def test_text_without_a_summary(text):
    assert parse_summary(text) is None


def test_files_that_hold_options_are_private_and_do_not_stay(tmp_path):
    with pytest.raises(RuntimeError), private_files(tmp_path / "phase", "a", "b") as files:
        assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
        assert (tmp_path / "phase").stat().st_mode & 0o777 == 0o700
        raise RuntimeError
    assert list((tmp_path / "phase").iterdir()) == []
