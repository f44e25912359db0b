"""The marked block: bytes outside of it are somebody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.undo.managed_block import BEGIN, BEGIN_JOINED, END, DamagedBlockError, put, take_out

LINE = "try-import %workspace%/.gfattach/bazelrc"

#: Somebody's bytes, line breaks of all sorts among them.
CONTENTS = st.lists(
    st.sampled_from([b"build --x", b"# note", b"\n", b"\r\n", b"\r", b"\\", b" ", b"\xff\x00", END]),
    max_size=12,
).map(b"".join)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"a", b"a\n", b"a\r\n", b"a\r\nb", b"a\n\n\n", b"a \\", b"\xef\xbb\xbfa", b"a\rb", b"\r\n"],
)
def test_what_is_put_in_is_taken_out_again_byte_for_byte(content):
    assert take_out(put(content, [LINE])) == content


@given(CONTENTS)
def test_any_content_comes_back(content):
    assert take_out(put(content, [LINE])) == content


@given(CONTENTS)
def test_putting_twice_is_putting_once(content):
    once = put(content, [LINE])
    assert put(once, [LINE]) == once


def test_another_line_takes_the_place_of_the_first():
    again = put(put(b"a", ["try-import one"]), ["try-import two"])
    assert again == put(b"a", ["try-import two"])


def test_several_blocks_become_one():
    block = put(b"", [LINE])
    assert put(b"a\n" + block + b"b\n" + block, [LINE]) == b"a\nb\n" + block


def test_the_block_has_the_line_endings_of_the_file():
    assert put(b"a\r\nb\r\n", [LINE]).count(b"\r\n") == 5
    assert b"\r" not in put(b"a\nb\n", [LINE])


def test_a_last_line_without_a_break_gets_one_that_goes_with_the_block():
    linked = put(b"a\r\nb", [LINE])
    assert linked.startswith(b"a\r\nb\r\n" + BEGIN_JOINED)
    assert take_out(linked) == b"a\r\nb"


def test_two_lines_of_somebody_elses_are_never_made_one():
    linked = put(b"before", [LINE]) + b"after\n"
    assert take_out(linked) == b"before\nafter\n"


def test_nothing_to_take_out_is_told_from_an_empty_rest():
    assert take_out(b"a\n") is None
    assert take_out(put(b"", [LINE])) == b""


@pytest.mark.parametrize(
    "content",
    [
        BEGIN + b"\n" + LINE.encode() + b"\n",
        put(b"", [LINE]).replace(END, b""),
        BEGIN + b"\n" + put(b"", [LINE]),
    ],
)
def test_a_block_that_does_not_end_is_not_guessed_at(content):
    with pytest.raises(DamagedBlockError):
        take_out(content)
    with pytest.raises(DamagedBlockError):
        put(content, [LINE])


def test_a_block_whose_last_line_break_somebody_trimmed_is_still_one():
    assert take_out(put(b"a\n", [LINE]).rstrip(b"\n")) == b"a\n"
