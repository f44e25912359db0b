"""When effective options are an executor, and where it is said to stand."""

import pytest

from gfattach.bazel.logs.events import Options
from gfattach.contract.bazel.executor import executor_options, read_rc_files, read_wrapper
from gfattach.contract.bazel.rctext import RcFile
from gfattach.core.errors import RefusedError
from gfattach.proof.bazel.no_executor import refuse_effective_executor


@pytest.mark.parametrize(
    ("line", "used"),
    [
        ("", ""),
        ("--remote_executor=", ""),
        ("--remote_executor=grpc://a:1 --remote_executor=", ""),
        ("--remote_executor= --remote_executor=grpc://a:1", "remote_executor"),
        ("--spawn_strategy=remote --spawn_strategy=local", ""),
        ("--spawn_strategy=local --spawn_strategy=remote", "spawn_strategy"),
        ("--spawn_strategy=local --spawn_strategy=worker,remote", ""),
        ("--remote_executor=grpc://a:1 --spawn_strategy=worker,remote", "remote_executor spawn_strategy"),
        ("--strategy=Javac=remote --strategy=Genrule=local", "strategy"),
        ("--strategy=Javac=remote --strategy=Javac=worker", ""),
        ("--strategy_regexp=a=b=remote", "strategy_regexp"),
        ("--strategy_regexp=remote=local --strategy=remote=local", ""),
        ("--strategy=Javac=dynamic", "strategy"),
        ("--remote_default_exec_properties=a=b --platforms=//x", ""),
        ("--remote_executor=grpc://a:1 --genrule_strategy=remote", "remote_executor genrule_strategy"),
    ],
)
def test_the_options_that_use_an_executor_are_those_that_no_later_one_undoes(line, used):
    found = executor_options(Options(command_line=tuple(line.split())))
    assert " ".join(name for name, _ in found) == used


def test_a_refusal_shows_no_password_and_names_what_goes_with_the_executor():
    options = Options(("--remote_executor=grpc://me:canary@farm:1", "--platforms=//rbe"))
    with pytest.raises(RefusedError) as caught:
        refuse_effective_executor(options)
    words = "\n".join((caught.value.fact, *caught.value.hints))
    assert "--remote_executor=grpc://" in words and "canary" not in words
    assert "also: --platforms" in words


def test_every_place_that_has_the_option_is_named_with_its_config():
    text = "build --jobs=1\nbuild:a --spawn_strategy=remote\n"
    files = [RcFile("x.rc", text), RcFile("y.rc", "build --spawn_strategy=remote\n")]
    with pytest.raises(RefusedError) as caught:
        refuse_effective_executor(Options(("--spawn_strategy=remote",)), files)
    assert caught.value.hints[:2] == (
        "it stands in x.rc:2 (under --config=a)",
        "it stands in y.rc:1",
    )


def test_the_rc_files_of_a_newer_bazel_are_among_those_that_are_searched(tmp_path):
    """Bazel 9 reads what BAZELRC names, and every Bazel what an rc imports."""
    (tmp_path / ".bazelrc").write_text("import %workspace%/imported.rc\n")
    for name in ("imported.rc", "named.rc", "given.rc"):
        (tmp_path / name).write_text("")
    (tmp_path / "unreadable.rc").mkdir()
    environ = {"HOME": str(tmp_path / "nowhere"), "BAZELRC": "named.rc,gone.rc,unreadable.rc"}
    files = read_rc_files(tmp_path, environ, [tmp_path / "given.rc"])
    assert [file.path for file in files if not file.path.startswith("/")] == [
        ".bazelrc",
        "imported.rc",
        "named.rc",
        "given.rc",
    ]


def test_a_wrapper_that_cannot_be_run_is_none(tmp_path):
    (tmp_path / "tools").mkdir()
    wrapper = tmp_path / "tools/bazel"
    wrapper.write_text('#!/bin/sh\nexec "$BAZEL_REAL" "$@" --remote_executor grpc://farm:1\n')
    assert read_wrapper(tmp_path) is None
    wrapper.chmod(0o755)
    with pytest.raises(RefusedError) as caught:
        refuse_effective_executor(Options(("--remote_executor=grpc://farm:1",)), (), read_wrapper(tmp_path))
    assert caught.value.code == "prove.executor.wrapper" and "tools/bazel:2" in caught.value.hints[0]
