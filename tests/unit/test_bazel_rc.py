"""One rc file in place of several: which files a person names, and the text that imports them."""

from pathlib import Path

import pytest

from gfattach.contract.bazel.arguments import split
from gfattach.contract.bazel.rc import joined_rc, without_rc_files
from gfattach.core.errors import UsageError


@pytest.mark.parametrize(
    ("words", "left", "files"),
    [
        ("build //:x", (), ()),
        ("--bazelrc=a build", (), ("a",)),
        ("--bazelrc a --bazelrc=b build", (), ("a", "b")),
        ("--batch --bazelrc=a --output_base /o build", ("--batch", "--output_base", "/o"), ("a",)),
        ("--output_base --bazelrc=a build", ("--output_base", "--bazelrc=a"), ()),
        ("--bazelrc=a --bazelrc=/dev/null --bazelrc=b build", (), ("a",)),
        ("--bazelrc=/dev/null --nohome_rc build", ("--nohome_rc",), ()),
        ("build --bazelrc=a", (), ()),
    ],
)
def test_the_files_of_startup_options_are_taken_out_in_their_order(words, left, files):
    bare, found = without_rc_files(split(words.split()))
    assert (bare.startup, found) == (left, files)


def test_files_are_imported_first_and_text_comes_after_them():
    assert joined_rc([Path("/a b"), Path("/c")], "build --x\n") == 'import "/a b"\nimport /c\nbuild --x\n'
    with pytest.raises(UsageError):
        joined_rc([Path("/a\nbuild --remote_executor=grpc://farm:1")], "")
