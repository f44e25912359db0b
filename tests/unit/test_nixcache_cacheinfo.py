"""What a cache says of itself, and what a login page is told by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.nixcache import cacheinfo
from gfattach.nixcache.cacheinfo import CacheInfo, looks_like_html, parse, render, typed_html
from gfattach.nixcache.errors import FormatError


def test_what_caches_answer():
    assert parse(b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 41\n") == CacheInfo(
        "/nix/store", True, 41
    )
    assert parse(b"StoreDir: /nix/store\n") == CacheInfo("/nix/store", False, None)
    assert parse(b"WantMassQuery: 0\r\nPriority:30") == CacheInfo(None, False, 30)


@given(
    st.builds(
        CacheInfo,
        st.none() | st.sampled_from(["/nix/store", "/gnu/store"]),
        st.booleans(),
        st.none() | st.integers(-99, 999),
    )
)
def test_reading_gives_back_what_was_written(info):
    assert parse(render(info)) == info


@pytest.mark.parametrize(
    "content",
    [b"", b"OK\n", b"<!doctype html><title>x: y</title>", b"Priority: high\n", b"Priority: \n", b"\xff" * 9],
)
def test_what_is_no_cache_info_is_refused(content):
    with pytest.raises(FormatError):
        parse(content)


def test_an_endless_answer_is_refused():
    with pytest.raises(FormatError, match="larger"):
        parse(b"StoreDir: /nix/store\n" + bytes(cacheinfo.LIMIT))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(content):
    try:
        parse(content)
    except FormatError as error:
        assert error.fact
    assert looks_like_html(content) in (True, False)


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html>", b"\n <html lang=en>", b"\xef\xbb\xbf<!doctype HTML>", b"<?xml version='1'?>\n<html>",
     b"<!-- a\nb --> <!-- c -->\n<html>", b"<head>"],
)  # fmt: skip
def test_a_page_is_told_by_how_it_begins(content):
    assert looks_like_html(content)


def test_a_page_is_told_by_its_media_type_where_its_text_says_nothing():
    assert typed_html("Text/HTML; charset=utf-8") and typed_html("application/xhtml+xml")
    assert not typed_html("text/plain") and not typed_html("") and not typed_html("text/x-nix-narinfo")
    assert not looks_like_html(b"<htmlish>") and not looks_like_html(b"StoreDir: /nix/store\n")
