"""The grammar of rc files; tests/integration/test_fragments_bazel.py holds real Bazels to it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.bazel.rc.grammar import imports, quote, words
from gfattach.core.errors import UsageError


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\x00"), min_size=1))
def test_a_quoted_word_is_read_as_that_word(word):
    assert words(f"build {quote(word)} # note") == ["build", word]


def test_what_needs_no_quotes_gets_none():
    assert quote("--remote_cache=grpc://127.0.0.1:1") == "--remote_cache=grpc://127.0.0.1:1"


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\0b", "\udcff"])
def test_what_no_line_can_hold_is_a_typed_error(word):
    with pytest.raises(UsageError):
        quote(word)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("# build --x", []),
        ("  build\t--x  ", ["build", "--x"]),
        ("build --x#y", ["build", "--x"]),
        ("build '--x=a b'c\"d e\"", ["build", "--x=a bcd e"]),
        ("build --x=a\\ b\\#c", ["build", "--x=a b#c"]),
        ("build '--x=a\\'b'", ["build", "--x=a'b"]),
        ("build --x\r", ["build", "--x"]),
        ("build --x\\", ["build", "--x"]),
    ],
)
def test_a_line_is_read_as_bazel_reads_it(line, expected):
    assert words(line) == expected


def write(directory, **files):
    for name, text in files.items():
        (directory / name).write_text(text, newline="")


def test_imports_are_followed_and_each_is_named_once(tmp_path):
    write(
        tmp_path,
        root="import %workspace%/one\ntry-import %workspace%/missing\r\nimport relative\n",
        one=f'try-import "{tmp_path}/with space" # note\nimport %workspace%/root\n',
        relative="build --x\nimport \\\n%workspace%/continued\n",
    )
    found = list(imports(tmp_path / "root", tmp_path))
    assert len(found) == len(set(found))
    assert set(found) == {
        tmp_path / name for name in ("one", "missing", "relative", "with space", "root", "continued")
    }


@pytest.mark.parametrize(
    ("file", "text", "directory", "found"),
    [
        (".bazelrc", "try-import user.bazelrc", "ws", "ws/user.bazelrc"),
        (".bazelrc", "try-import user.bazelrc", "ws/sub", "ws/sub/user.bazelrc"),
        (".bazelrc", "import ./a/../b.rc", "ws/sub", "ws/sub/a/../b.rc"),
        (".bazelrc", "import %workspace%/b.rc", "ws/sub", "ws/b.rc"),
        ("tools/bazel.rc", "import other.rc", "ws", "ws/other.rc"),
        ("tools/bazel.rc", "try-import-if-bazel-version >=8.0 other.rc", "ws/sub", "ws/sub/other.rc"),
    ],
)
def test_a_relative_import_is_taken_from_where_bazel_is_called(tmp_path, file, text, directory, found):
    """Whatever file it stands in: `--client_debug` of 2.1.0, 4.2.3 and 7.7.1 shows it."""
    workspace = tmp_path / "ws"
    (workspace / "tools").mkdir(parents=True)
    write(workspace, **{file: text})
    assert list(imports(workspace / file, workspace, tmp_path / directory)) == [tmp_path / found]


@pytest.mark.parametrize(
    "text", ["# import %workspace%/a", "import", "import a b", "build --import=a", "imports a"]
)
def test_what_is_no_import_imports_nothing(tmp_path, text):
    write(tmp_path, root=text)
    assert list(imports(tmp_path / "root", tmp_path)) == []


def test_a_file_that_is_not_there_or_not_text_imports_nothing(tmp_path):
    assert list(imports(tmp_path / "missing", tmp_path)) == []
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00import x")
    assert list(imports(tmp_path / "binary", tmp_path)) == []


def test_a_pipe_imports_nothing_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "rc").write_text("import %workspace%/pipe\nimport %workspace%/last\n")
    assert list(imports(tmp_path / "rc", tmp_path)) == [tmp_path / "pipe", tmp_path / "last"]
    assert list(imports(tmp_path / "pipe", tmp_path)) == []
