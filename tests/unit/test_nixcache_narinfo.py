"""The narinfo: read strictly, written so that it is read back the same, and no input breaks it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.nixcache import narinfo, nix32
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.hashes import Hash
from gfattach.nixcache.narinfo import NarInfo, parse, render
from gfattach.nixcache.storepath import ContentAddress, StorePath, parse_store_path
from gfattach.nixcache.target import PROBE_PATH

#: As Nix 2.8.0 writes it (`nix copy --to file://...`).
RECORDED = b"""\
StorePath: /nix/store/ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1
URL: nar/0dghxh2y26hp710j1zlbw9jn01hl05430phfh1phra9knvpf5zzv.nar.xz
Compression: xz
FileHash: sha256:0dghxh2y26hp710j1zlbw9jn01hl05430phfh1phra9knvpf5zzv
FileSize: 144
NarHash: sha256:0q8sqdvm96ggibfysslv2b2szkixzm1760lgkrwq53n9cgprm1di
NarSize: 136
References: 
Sig: gfattach-trial-1:bAMFHALALC1MEbORG6z/pcrv2Z7N1tjO7MNRWMROeJ2XlINWPY0QIvL8TUuEiOPAfyku2/OzAega4UtLCw9pBQ==
CA: text:sha256:188189r0rxabc56p0miylm8rdkrp4kn89sp1k6cy2m30r3akfz63
"""  # noqa: W291

#: As Attic answers: no FileHash, no FileSize, a URL of its own.
ATTIC = b"""\
StorePath: /nix/store/6rqiqhp1q87llsiqwhdas76hqshb8m3b-gfattach-trial-signed-v1
URL: nar/6rqiqhp1q87llsiqwhdas76hqshb8m3b.nar
Compression: zstd
NarHash: sha256:0ks2zbx1w8l10i9mz0f72bm7hia2i2kgbqzskjg68h3pmjndj3qy
NarSize: 304
References: ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1
System: x86_64-linux
Deriver: szndzwnlmzyvl9921mcr5x2lx6664lq3-gfattach-trial-signed-v1.drv
Sig: main:PGKoptmAB166F5g8N9Mxzpr9sKdXTpsrw7OqrTfyhe/gQX90L8rkPZK+PA1m4kXCMaidM28SdZ+4AJmY/gZVBA==
"""


def changed(name, value):
    """The recorded narinfo with one field changed, or left out."""
    lines = RECORDED.decode().splitlines()
    kept = [line for line in lines if not line.startswith(f"{name}:")]
    return "".join(f"{line}\n" for line in [*kept, *([] if value is None else [f"{name}: {value}"])]).encode()


def test_what_nix_writes_is_read_and_written_the_same():
    info = parse(RECORDED)
    assert str(info.store_path) == PROBE_PATH
    assert (info.compression, info.file_size, info.nar_size) == ("xz", 144, 136)
    assert info.content_addressed
    assert render(info) == RECORDED


def test_what_attic_answers_is_read():
    info = parse(ATTIC)
    assert (info.file_hash, info.file_size, info.content_address) == (None, None, None)
    assert [str(path) for path in info.references] == [PROBE_PATH]
    assert info.deriver is not None and not info.content_addressed


def test_fields_that_may_be_missing_or_empty_mean_what_they_mean_to_nix():
    assert parse(changed("Compression", None)).compression == "bzip2"
    assert parse(changed("References", None)).references == ()
    assert parse(changed("Deriver", "unknown-deriver")).deriver is None
    assert parse(changed("Sig", None)).signatures == ()


@pytest.mark.parametrize(
    "line",
    [b"SomethingNew: whatever it may say", b"SomethingNew:no space", b"Something (new): x", b"X: \t\x00\x7f",
     b"X: caf\xe9", b"X\xe9: y", b"X: "],
)  # fmt: skip
def test_a_field_that_nobody_knows_is_passed_over_whatever_it_holds_as_nix_does(line):
    assert parse(RECORDED + line + b"\n") == parse(RECORDED)


def test_a_field_without_a_character_behind_its_colon_is_refused_as_nix_reads_over_its_end():
    with pytest.raises(FormatError, match="line 2"):
        parse(RECORDED.replace(b"\n", b"\nX:\n", 1))


@pytest.mark.parametrize("name", ["StorePath", "URL", "NarHash", "NarSize"])
def test_a_field_that_is_needed_is_missed(name):
    with pytest.raises(FormatError, match=f"no {name}"):
        parse(changed(name, None))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NarSize", "0"), ("NarSize", "-1"), ("NarSize", "0x10"), ("NarSize", "١"), ("NarSize", "9" * 19),
        ("NarSize", "1" * 5000), ("FileSize", "1.5"), ("URL", "a b"), ("NarHash", "sha256:zz"),
        ("NarHash", "md5:" + "0" * 32), ("References", "x"), ("References", f"{'a' * 32}-x {'a' * 32}-x"),
        ("Deriver", "x.drv"), ("CA", "x"), ("Compression", "x/y"), ("StorePath", "x"), ("URL", "x\x00y"),
        ("FileHash", ""), ("FileSize", ""), ("Deriver", ""), ("NarHash", ""), ("URL", " nar/x"),
    ],
)  # fmt: skip
def test_a_field_that_says_nonsense_is_named(name, value):
    with pytest.raises(FormatError):
        parse(changed(name, value))


@pytest.mark.parametrize(
    "content",
    [b"", b"<!doctype html>\n", RECORDED[:-1], RECORDED[:100], RECORDED + b"URL: again\n", RECORDED + b"\n",
     b"\xff\xfe" + RECORDED, RECORDED.replace(b": ", b":"), RECORDED.replace(b"\n", b"\r\n"),
     RECORDED + b"X: " + b"a" * narinfo.LIMIT + b"\n", RECORDED + b"Sig: cut-1:c2hvcnQ"],
)  # fmt: skip
def test_what_is_no_narinfo_is_refused(content):
    with pytest.raises(FormatError):
        parse(content)


def test_a_content_address_that_leads_elsewhere_is_none():
    info = parse(RECORDED)
    assert parse(RECORDED.replace(b"-probe-v1", b"-probe-v2")).content_addressed is False
    assert parse(changed("References", f"{'a' * 32}-x")).content_addressed is False
    assert parse(changed("CA", f"fixed:{info.nar_hash}")).content_addressed is False
    assert parse(changed("CA", f"fixed:git:{info.nar_hash}")).content_addressed is False


digests = st.binary(min_size=20, max_size=20).map(nix32.encode)
names = st.text(alphabet="abcXYZ019+-._?=", min_size=1, max_size=40)
paths = st.builds(StorePath, digests, names)
sha256 = st.builds(Hash, st.just("sha256"), st.binary(min_size=32, max_size=32))
sizes = st.integers(min_value=0, max_value=2**63 - 1)
addresses = st.one_of(
    st.builds(ContentAddress, st.sampled_from(["text", "flat", "recursive", "git"]), sha256),
    st.builds(
        ContentAddress,
        st.sampled_from(["flat", "recursive"]),
        st.builds(Hash, st.just("sha1"), st.binary(min_size=20, max_size=20)),
    ),
)
narinfos = st.builds(
    NarInfo,
    store_path=paths,
    url=st.text(alphabet="abc/.:?=&%é-_", min_size=1, max_size=60),
    compression=st.sampled_from(["none", "xz", "bzip2", "gzip", "zstd", "br", "lz4"]),
    nar_hash=sha256,
    nar_size=st.integers(min_value=1, max_value=2**63 - 1),
    references=st.lists(paths, max_size=5, unique=True).map(tuple),
    file_hash=st.none() | sha256,
    file_size=st.none() | sizes,
    deriver=st.none() | paths,
    signatures=st.lists(st.text(alphabet="abc:+/=é", min_size=0, max_size=90), max_size=3).map(tuple),
    content_address=st.none() | addresses,
)


@given(narinfos)
def test_reading_gives_back_what_was_written(info):
    assert parse(render(info)) == info
    assert info.content_addressed in (True, False)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(content):
    try:
        info = parse(content)
    except FormatError as error:
        assert error.fact
    else:
        assert parse(render(info)) == info


@settings(max_examples=300)
@given(st.data())
def test_a_narinfo_with_damage_is_read_or_refused_and_nothing_else(data):
    """Arbitrary bytes seldom get past the first line; a good narinfo with a wound gets everywhere."""
    content = bytearray(render(data.draw(narinfos)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        info = parse(bytes(content))
    except FormatError as error:
        assert error.fact
    else:
        assert parse(render(info)) == info


def test_a_store_path_of_another_store_keeps_its_store():
    content = RECORDED.replace(b"/nix/store/", b"/gnu/store/")
    info = parse(content)
    assert info.store_path == parse_store_path(PROBE_PATH.replace("/nix/", "/gnu/"))
    assert not info.content_addressed
    assert render(info) == content
