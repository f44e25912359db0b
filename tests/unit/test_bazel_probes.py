"""What the stage says of a Bazel, seen through the engine that asks it."""

import pytest
from msgspec.structs import replace

from gfattach.bazel.program.binary import Bazel
from gfattach.core.deadline import Deadline
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.probes.bazel import compression
from gfattach.probes.bazel.fallback import judge_fallback
from gfattach.probes.bazel.stage import END_SECONDS, STAGE, BazelSubject
from tests.harness.machine.fake_bazel import fake_bazel

#: Answers as a Bazel that knows everything but `--credential_helper` and `--remote_grpc_log`.
WELL = """
case "$command$startup" in
  *--version*) echo 'bazel 8.1.1' ;;
  help*) echo '   [bazel release 8.1.1]' ;;
  canonicalize-flags*)
    for flag in "$@"; do
      case "$flag" in --credential_helper*|--remote_grpc_log*)
        echo "ERROR: Unrecognized option: $flag" >&2; exit 2 ;;
      esac
    done ;;
esac
"""


#: The same stage with little patience: the probe that a case is about waits for two seconds.
def hurried(name):
    probes = (replace(p, seconds=END_SECONDS + 2.0) if p.name == name else p for p in STAGE.probes)
    return replace(STAGE, probes=tuple(probes))


#: What the launcher of Bazel's Debian packages says of a version that it has not.
LAUNCHER = (
    "\"ERROR: The project you're trying to build requires Bazel 7.4.0 (specified in /w/.bazelversion), "
    "but it wasn't found in /usr/bin.\""
)


@pytest.fixture
def ask(tmp_path):
    def ask(body=None, stage=STAGE, **options):
        (tmp_path / "bin").mkdir(exist_ok=True)
        if body is not None:
            fake_bazel(tmp_path / "bin" / "bazel", body)
        subject = BazelSubject(
            **{
                "program": None,
                "workspace": None,
                "work": tmp_path / "work",
                "flags": ("--remote_timeout=60", "--credential_helper=x"),
                "flag_cache": tmp_path / "flags.json",
                "environ": {"PATH": f"{tmp_path / 'bin'}", "HOME": str(tmp_path)},
                **options,
            }
        )
        return Run().stage(stage, subject).findings

    return ask


def test_a_bazel_that_is_well(ask):
    found = ask(WELL)
    assert [finding.code for finding in found.values()] == [
        "bazel.program.ok",
        "bazel.starts.ok",
        "bazel.flags.fitted",
        "bazel.transport.plain",
        "bazel.compression.none",
        "bazel.fallback.before",
    ]
    assert all(finding.status is Status.OK for finding in found.values())
    assert found["bazel.program"].data["version"] == "8.1.1"
    assert found["bazel.flags"].data["refused"] == ["--credential_helper=x"]
    assert "--remote_timeout=60" in found["bazel.flags"].data["accepted"]


def test_no_bazel_is_a_skip_with_the_command_that_installs_it(ask):
    found = ask()
    assert found["bazel.program"].code == "bazel.program.missing"
    assert "apt-get install bazel-bootstrap" in found["bazel.program"].hints[0]
    assert {finding.status for finding in found.values()} == {Status.SKIP}


def test_a_bazel_asked_for_by_name_and_missing_fails(ask):
    assert ask(WELL, program="bazel-9")["bazel.program"].code == "bazel.program.named"


@pytest.mark.parametrize(
    ("change", "probe", "code"),
    [
        (("echo 'bazel 8.1.1'", "echo something else"), "bazel.program", "bazel.program.rubbish"),
        (("echo 'bazel 8.1.1'", "exit 37"), "bazel.program", "bazel.program.crashed"),
        (("echo 'bazel 8.1.1'", f"echo {LAUNCHER}; exit 1"), "bazel.program", "bazel.program.version"),
        (("echo '   [bazel release 8.1.1]'", "exit 37"), "bazel.starts", "bazel.starts.crashed"),
        (("echo '   [bazel release 8.1.1]'", "echo hello"), "bazel.starts", "bazel.starts.rubbish"),
        (
            ("echo '   [bazel release 8.1.1]'", "echo ERROR: no java >&2; exit 36"),
            "bazel.starts",
            "bazel.starts.failed",
        ),
        (("for flag in", "exit 7; for flag in"), "bazel.starts", "bazel.starts.rubbish"),
        (("for flag in", "exit 37; for flag in"), "bazel.starts", "bazel.starts.crashed"),
        (("--credential_helper*", "--remote_cache=*"), "bazel.flags", "bazel.flags.none"),
    ],
)
def test_a_bazel_that_is_not_well(ask, change, probe, code):
    found = ask(WELL.replace(*change))
    assert (found[probe].code, found[probe].status) == (code, Status.FAIL)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("echo 'bazel 8.1.1'", "exec /bin/sleep 600"), "bazel.program.hung"),
        (("echo '   [bazel release 8.1.1]'", "exec /bin/sleep 600"), "bazel.starts.hung"),
        (
            ("esac\n", '  build*) [ "${PWD##*/}" != transport ] || exec /bin/sleep 600 ;;\nesac\n'),
            "bazel.transport.unanswered",
        ),
        (
            ("esac\n", '  build*) [ "${PWD##*/}" != compression ] || exec /bin/sleep 600 ;;\nesac\n'),
            "bazel.compression.unanswered",
        ),
    ],
)
def test_a_bazel_that_hangs_fails_within_the_time_of_its_probe(ask, change, code):
    probe = code.rpartition(".")[0]
    head, _, tail = WELL.rpartition(change[0])
    found = ask(head + change[1] + tail, hurried(probe), needs_transport=True, compression_offered=True)
    missed = Status.WARN if probe == "bazel.compression" else Status.FAIL
    assert (found[probe].code, found[probe].status) == (code, missed)


def test_a_file_that_is_no_program_cannot_be_run(ask, tmp_path):
    (tmp_path / "bazel").write_bytes(b"\x7fELF")
    (tmp_path / "bazel").chmod(0o755)
    found = ask(program=str(tmp_path / "bazel"))
    assert (found["bazel.program"].code, found["bazel.program"].status) == (
        "bazel.program.unusable",
        Status.FAIL,
    )


def test_a_bazel_that_is_taken_away_meanwhile_does_not_say_what_it_knows(ask):
    found = ask(WELL.replace("    done ;;", '    done; /bin/rm -f "$0" ;;'))
    assert (found["bazel.flags"].code, found["bazel.flags"].status) == ("bazel.flags.unanswered", Status.FAIL)


def test_a_bazel_that_knows_every_flag_is_said_to(ask):
    finding = ask(WELL.replace("--credential_helper*|--remote_grpc_log*", "--nothing"))["bazel.flags"]
    assert (finding.code, finding.data["refused"]) == ("bazel.flags.ok", [])


def test_a_bazel_that_started_before_is_not_started_again_unless_that_is_asked_for(ask, tmp_path):
    body = WELL.replace("help*)", f'help*) echo "$*" >> {tmp_path}/asked;')
    assert ask(body)["bazel.starts"].code == "bazel.starts.ok"
    assert ask(always_start=False)["bazel.starts"].code == "bazel.starts.before"
    assert ask()["bazel.starts"].code == "bazel.starts.ok"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["", "flags-as-proto", ""]  # the list is asked for once, for what it does not know


def test_every_code_is_declared_once_and_says_what_it_means():
    codes = [code for probe in STAGE.probes for code in probe.codes]
    assert len(codes) == len(set(codes))
    assert all(code.startswith(probe.name + ".") for probe in STAGE.probes for code in probe.codes)
    assert all(meaning for probe in STAGE.probes for meaning in probe.codes.values())


@pytest.mark.parametrize(
    ("tried", "code"),
    [
        ((True, ""), "bazel.compression.ok"),
        ((False, "NoClassDefFoundError"), "bazel.compression.lacking"),
    ],
)
def test_what_a_trial_of_compression_comes_to_and_only_success_is_remembered(ask, monkeypatch, tried, code):
    monkeypatch.setattr(compression, "_try", lambda *words: tried)
    found = ask(WELL, compression_offered=True)["bazel.compression"]
    assert (found.code, found.data["compression"]) == (code, tried[0])
    again = ask(compression_offered=True)["bazel.compression"].code  # the same program
    assert again == ("bazel.compression.before" if tried[0] else code)


def test_what_it_does_without_its_cache_could_not_be_tried(ask, tmp_path):
    """Nothing is remembered, and there is no time left for a build that would tell."""
    found = ask(WELL.replace("echo '   [bazel release 8.1.1]'", "exit 37"))
    bazel = Bazel.from_json(found["bazel.program"].data)
    said = judge_fallback(bazel, tmp_path / "work", tmp_path / "none.json", Deadline.after(0))
    assert (said.code, said.status) == ("bazel.fallback.unanswered", Status.WARN)
