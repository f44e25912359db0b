"""Flags are asked of the program, in few runs, and the answers are kept while it stays the same."""

import base64

import pytest

from gfattach.bazel.capabilities.answers import KEPT_PROGRAMS
from gfattach.bazel.capabilities.flags import accepted_flags, all_known
from gfattach.core.errors import BazelError
from tests.harness.execution.logs import varint
from tests.harness.machine.fake_bazel import fake_bazel


def flag_list(**flags):
    """What `help flags-as-proto` says of flags, each with its commands and whether it can be negated."""
    out = b""
    for name, (negatable, *commands) in flags.items():
        info = b"\x0a" + varint(len(name)) + name.encode() + bytes((0x10, negatable)) + b"\x1a\x03doc"
        for each in commands:
            info += b"\x22" + varint(len(each)) + each.encode()
        out += b"\x0a" + varint(len(info)) + info
    return base64.b64encode(out).decode()


#: Knows `--known*` and `--ok`, names the first other flag as Bazel does, and counts its runs.
NAMING = """
echo "$*" >> {runs}
for flag in "$@"; do
  case "$flag" in
    --for_command=*|--|--known*|--ok|--noenable_bzlmod|--enable_workspace) ;;
    --bad=*) echo "ERROR: While parsing option $flag: 'x' is not an int" >&2; exit 2 ;;
    *) echo "ERROR: Unrecognized option: $flag" >&2; exit 2 ;;
  esac
done
"""

#: The same, which lists what it knows too.
LISTING = (
    f"case $command in help) echo {flag_list(known=(1, 'build'), known2=(0, 'build'), ok=(1, 'build'))};"
    + " echo run >> {runs}; exit 0;; esac\n"
    + NAMING
)

#: The same, with a message that names nothing.
MUTE = NAMING.replace('"ERROR: Unrecognized option: $flag"', '"ERROR: something is wrong"')


class Fake:
    def __init__(self, tmp_path, body=NAMING):
        self.runs_file = tmp_path / "runs"
        self.bazel = fake_bazel(tmp_path / "bazel", body.format(runs=self.runs_file))
        self.cache = tmp_path / "cache" / "flags.json"
        self._work = tmp_path / "work"

    def ask(self, *flags, old_names=False):
        return accepted_flags(self.bazel, flags, work=self._work, cache=self.cache, old_names=old_names)

    @property
    def runs(self):
        return len(self.runs_file.read_text().splitlines()) if self.runs_file.exists() else 0


@pytest.fixture
def fake(tmp_path):
    return Fake(tmp_path)


def test_known_flags_cost_one_run(fake):
    flags = [f"--known{n}=1" for n in range(30)]
    assert fake.ask(*flags) == set(flags)
    assert fake.runs == 1


def test_unknown_flags_cost_two_runs_more_however_many_there_are(tmp_path):
    fake = Fake(tmp_path, LISTING)
    new = [f"--new{n}" for n in range(20)]
    assert fake.ask("--known", *new, "--nook", "--newer", "--known2=a b") == {"--known", "--known2=a b"}
    assert fake.runs == 4  # the list has --nook, which this fake does not take after all


def test_where_none_is_listed_each_unknown_flag_costs_a_run(fake):
    asked = ["--known", "--new=1", "--ok", "--newer", "--known2=a b"]
    assert fake.ask(*asked) == {"--known", "--ok", "--known2=a b"}
    assert fake.runs == 4


def test_an_old_name_of_a_flag_is_listed_nowhere_and_known(tmp_path):
    fake = Fake(tmp_path, LISTING)
    assert fake.ask("--known-once", "--new") == set()
    assert fake.ask("--known-before", "--new", old_names=True) == {"--known-before"}


def test_a_value_that_is_not_taken_is_a_flag_that_is_not_accepted(fake):
    assert fake.ask("--ok", "--bad=x") == {"--ok"}


def test_a_message_that_names_no_flag_is_bisected(tmp_path):
    fake = Fake(tmp_path, MUTE)
    known = [f"--known{n}" for n in range(15)]
    assert fake.ask(*known[:7], "--new", *known[7:]) == set(known)
    assert fake.runs < len(known)


def test_the_answer_is_kept(fake):
    first = fake.ask("--known", "--new=1")
    assert all_known(fake.bazel, ["--known", "--new=1"], fake.cache)
    assert not all_known(fake.bazel, ["--known", "--other"], fake.cache)
    runs = fake.runs
    assert fake.ask("--new=1", "--known") == first
    assert fake.runs == runs


def test_only_what_is_not_known_yet_is_asked(fake):
    fake.ask("--known")
    assert fake.ask("--known", "--ok") == {"--known", "--ok"}
    assert "--known" not in fake.runs_file.read_text().splitlines()[-1]


def test_another_program_at_the_same_path_is_asked_again(fake, tmp_path):
    fake.ask("--new")
    fake.bazel = fake_bazel(tmp_path / "bazel", f'echo run >> "{fake.runs_file}"; exit 0')
    assert fake.ask("--new") == {"--new"}


def test_values_are_not_written_down(fake):
    fake.ask("--known=secret-value")
    assert "secret-value" not in fake.cache.read_text()
    assert fake.cache.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 99}', '{"format": 1, "programs": [3, {}]}'])
def test_a_broken_file_of_answers_costs_a_run_and_nothing_else(fake, content):
    fake.cache.parent.mkdir()
    fake.cache.write_text(content)
    assert fake.ask("--known", "--new") == {"--known"}
    assert all_known(fake.bazel, ["--known"], fake.cache)


def test_answers_of_programs_that_are_no_longer_asked_are_let_go(fake, tmp_path):
    for n in range(KEPT_PROGRAMS + 3):
        fake.bazel = fake_bazel(tmp_path / f"bazel{n}", "exit 0")
        fake.ask("--known")
    first = fake_bazel(tmp_path / "bazel0", "exit 0")
    assert not all_known(first, ["--known"], fake.cache)
    assert all_known(fake.bazel, ["--known"], fake.cache)


#: A Bazel before modules: it does not know the options that would do without them.
OLD = NAMING.replace("|--noenable_bzlmod|--enable_workspace", "")


def test_a_bazel_before_modules_is_asked_without_the_options_that_turn_them_off(tmp_path):
    fake = Fake(tmp_path, OLD)
    assert fake.ask("--known", "--noenable_bzlmod", "--ok") == {"--known", "--ok"}
    assert fake.runs == 4


#: A Bazel that cannot reach its registry: what it lists decides.
CUT_OFF = (
    """
echo "$*" >> {runs}
case "$command" in
  help) echo """
    + flag_list(known=(1, "build", "test"), size=(0, "build"), other=(1, "query"))
    + """ ;;
  *) echo "ERROR: Error accessing registry https://bcr.bazel.build/" >&2; exit 48 ;;
esac
"""
)


def test_a_bazel_that_cannot_load_its_modules_is_judged_by_what_it_lists(tmp_path):
    fake = Fake(tmp_path, CUT_OFF)
    assert fake.ask("--other") == set()  # of another command
    assert fake.ask("--noknown", "--known", "--size=3", "--nosize", "--new", "--known=x") == {
        "--noknown",
        "--known",
        "--size=3",
        "--known=x",
    }


def test_a_bazel_that_answers_otherwise_is_no_answer(tmp_path):
    fake = Fake(tmp_path, "echo oops >&2; exit 7")
    with pytest.raises(BazelError) as caught:
        fake.ask("--known")
    assert caught.value.code == "bazel.rubbish"
    assert "help flags-as-proto" in caught.value.hints[0]
    assert not fake.cache.exists()
