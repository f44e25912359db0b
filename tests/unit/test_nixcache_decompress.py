"""What undoes the compressions of a cache: whole, in pieces, cut off, damaged."""

import bz2
import functools
import gzip
import importlib
import io
import lzma
import shutil
import subprocess
import sys
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.nixcache.decompress import checkable, codings, decoded, opened
from gfattach.nixcache.errors import Kind, NixCacheError

ZSTD = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
COMPRESS = {
    "none": bytes,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "gzip": gzip.compress,
    "zstd": ZSTD.compress,
}
#: Those that have one stream, which nothing follows.
SINGLE = {
    "br": brotli.compress,
    "deflate": zlib.compress,
    "lzma": functools.partial(lzma.compress, format=lzma.FORMAT_ALONE),
}


def read(compression, content, size=1000):
    pieces = []
    with opened(compression, io.BytesIO(content)) as reader:
        while piece := reader.read(size):
            assert len(piece) <= size
            pieces.append(piece)
        assert reader.read(size) == b""
    return b"".join(pieces)


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(COMPRESS)),
    st.lists(st.binary(max_size=3000).map(lambda some: some * 9), min_size=1, max_size=3),
    st.integers(1, 5000),
)
def test_what_was_compressed_comes_back_stream_after_stream(compression, contents, size):
    compressed = b"".join(COMPRESS[compression](content) for content in contents)
    assert read(compression, compressed, size) == b"".join(contents)


@settings(max_examples=400)
@given(st.sampled_from(["xz", "bzip2", "gzip", "zstd"]), st.data())
def test_an_archive_with_damage_is_read_or_refused_and_nothing_else(compression, data):
    """What a broken disk or a proxy makes of one: bytes changed, taken out and put in, or never right."""
    content = data.draw(st.binary(min_size=1, max_size=200)) * 20
    damaged = bytearray(data.draw(st.sampled_from([COMPRESS[compression](content), content])))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged)))
        damaged[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    try:
        read(compression, bytes(damaged), data.draw(st.integers(1, 3000)))
    except NixCacheError as error:
        assert error.kind in (Kind.TRUNCATED, Kind.CORRUPT)


def test_zeros_between_streams_of_xz_are_padding():
    assert read("xz", lzma.compress(b"one") + bytes(8) + lzma.compress(b"two") + bytes(4)) == b"onetwo"


@pytest.mark.parametrize("compression", ["xz", "bzip2", "gzip", "zstd"])
@pytest.mark.parametrize("kept", [0, 1, 20, -1])
def test_a_stream_that_is_cut_off_is_named_so(compression, kept):
    whole = COMPRESS[compression](b"some content " * 100)
    with pytest.raises(NixCacheError) as error:
        read(compression, whole[:kept])
    assert error.value.kind is Kind.TRUNCATED


@pytest.mark.parametrize("compression", ["xz", "bzip2", "gzip", "zstd"])
def test_a_stream_that_is_something_else_is_named_so(compression):
    for content in (b"<!doctype html>" * 100, COMPRESS[compression](b"content" * 50) + b"and then some more"):
        with pytest.raises(NixCacheError) as error:
            read(compression, content)
        assert error.value.kind is Kind.CORRUPT


def test_a_small_file_that_becomes_a_large_one_is_read_in_pieces():
    """A bomb costs time and no memory: the reader never holds more than it was asked for."""
    bomb = lzma.compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    with opened("xz", io.BytesIO(bomb)) as reader:
        assert sum(len(reader.read(4096)) for _ in range(100)) <= 100 * 4096


def test_an_error_of_the_source_passes_through():
    class Source:
        def read(self, size, /):
            raise NixCacheError(Kind.TIMEOUT, "too late")

    for compression in ("none", "xz", "zstd"):
        with opened(compression, Source()) as reader, pytest.raises(NixCacheError) as error:
            reader.read(10)
        assert error.value.kind is Kind.TIMEOUT


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is missing: apt-get install zstd")
def test_what_the_program_wrote_is_read():
    def zstd(content, *options):
        command = ["zstd", "-c", "-q", *options]
        return subprocess.run(command, input=content, capture_output=True, check=True).stdout

    content = b"some content " * 100_000
    assert read("zstd", zstd(content), 65536) == content
    assert read("zstd", zstd(b"one", "--no-check") + zstd(b"two", "-19")) == b"onetwo"


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(SINGLE)), st.binary(max_size=3000).map(lambda some: some * 9), st.integers(1, 5000)
)
def test_what_is_one_stream_comes_back(compression, content, size):
    assert read(compression, SINGLE[compression](content), size) == content


@pytest.mark.parametrize("compression", sorted(SINGLE))
def test_one_stream_that_is_cut_off_or_damaged_is_named_so(compression):
    whole = SINGLE[compression](bytes(range(256)) * 100)
    for content, kind in ((whole[:-3], Kind.TRUNCATED), (b"<!doctype html>" * 100, Kind.CORRUPT)):
        with pytest.raises(NixCacheError) as error:
            read(compression, content)
        assert error.value.kind is kind


def test_a_deflate_without_the_header_of_zlib_is_one_too():
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert read("deflate", raw.compress(b"some content " * 99) + raw.flush()) == b"some content " * 99


def test_a_bomb_of_brotli_is_read_in_pieces():
    bomb = brotli.compress(bytes(50_000_000))
    with opened("br", io.BytesIO(bomb)) as reader:
        assert sum(len(reader.read(4096)) for _ in range(100)) <= 100 * 4096


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("", ()),
        ("identity", ()),
        ("none", ()),
        ("GZip", ("gzip",)),
        ("br, identity", ("br",)),
        ("gzip,zstd", ("gzip", "zstd")),
        (" x-gzip ", ("x-gzip",)),
    ],
)
def test_the_encodings_of_an_answer_are_undone_last_one_first(header, names):
    assert codings(header) == names
    content = b"content" * 50
    for name in names:
        content = {**COMPRESS, **SINGLE, "x-gzip": gzip.compress}[name](content)
    with decoded(names, io.BytesIO(content)) as reader:
        assert reader.read(10_000) == b"content" * 50


@pytest.mark.parametrize("compression", ["lz4", "lzip", "something-new"])
def test_what_nothing_here_undoes_is_said_to_be_so(compression):
    assert not checkable(compression)
    with pytest.raises(NixCacheError, match=compression), opened(compression, io.BytesIO(b"")):
        pass
