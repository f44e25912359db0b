"""Which line of what Bazel says is its error."""

import pytest

from gfattach.bazel.messages import error_line


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("INFO: a\nERROR: the first: of two\nERROR: the second\n", "the first: of two"),
        ("FATAL: no server\n", "no server"),
        (
            "[INFO 12:26:51.263 src/main/cpp/rc_file.cc:56] Parsing the RcFile /x\n"
            "[FATAL 12:26:51.264 src/main/cpp/blaze.cc:1298] Can't specify --bazelrc in the RC file.\n",
            "Can't specify --bazelrc in the RC file.",
        ),
        ("INFO: all is well\nsome ERROR: inside of a line\n", ""),
    ],
)
def test_the_first_line_that_is_marked_as_an_error_is_said_without_its_mark(said, line):
    assert error_line(said) == line
