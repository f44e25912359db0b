"""Narinfos at the edge of their format: what the stage "substituter" makes of them, and what a real Nix does.

A stage that passes a narinfo on which Nix ends every build hides the fault, and one that fails for a
narinfo which Nix takes keeps people from a cache that works.
"""

import bz2
import os
import re
import shutil
import subprocess

import pytest
from msgspec.structs import replace

from gfattach.core.finding import Status
from gfattach.nix.isolated import IsolatedStore
from gfattach.nixcache import narinfo
from tests.harness.substituters.binary_caches import (
    ARCHIVE,
    KEY,
    SIGNED,
    answer,
    publishing,
    signed,
    signed_info,
)
from tests.harness.substituters.stage import PATHS, ask, authority, rig

__all__ = ["authority", "rig"]

pytestmark = [
    pytest.mark.nix,
    pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin"),
]
TEXT = narinfo.render(signed(signed_info(), KEY))


def said(name, value):
    """The narinfo with all that follows the colon of `name` replaced; None leaves the line out."""
    line = b"" if value is None else f"{name}:{value}\n".encode()
    return re.sub(f"(?m)^{name}:.*\n".encode(), line.replace(b"\\", rb"\\"), TEXT)


#: A narinfo, and whether Nix takes the path.
NARINFOS = {
    "as it should be": (TEXT, True),
    "lines that end as on Windows": (TEXT.replace(b"\n", b"\r\n"), False),
    "an unknown field without a space": (TEXT + b"X-New:bar\n", True),
    "an unknown field with a strange name": (TEXT + b"X New (1): bar\n", True),
    "an unknown field without anything": (TEXT + b"X-New:\n", False),
    "an unknown field with a tab and a zero": (TEXT + b"X-New: a\t\x00b\n", True),
    "an unknown field that is no UTF-8": (TEXT + b"X-New: caf\xe9\n", True),
    "an empty line at the end": (TEXT + b"\n", False),
    "a known field without a space": (said("FileHash", ""), False),
    "no FileHash": (said("FileHash", None), True),
    "a FileHash of nothing": (said("FileHash", " "), False),
    "a FileHash of another file": (said("FileHash", " sha256:" + "0" * 52), True),
    "no FileSize": (said("FileSize", None), True),
    "a FileSize of nothing": (said("FileSize", " "), False),
    "a FileSize of another file": (said("FileSize", " 7"), True),
    "a NarSize of zero": (said("NarSize", " 0"), False),
    "a deriver of nothing": (TEXT + b"Deriver: \n", False),
    "a deriver that nobody knows": (TEXT + b"Deriver: unknown-deriver\n", True),
    "a content address of nothing": (TEXT + b"CA: \n", True),
    "references of spaces": (said("References", "   "), True),
    "no references": (said("References", None), True),
    "references that are whole paths": (said("References", f" {SIGNED}"), False),
    "a signature of nothing beside it": (TEXT + b"Sig: \n", True),
    "the signature twice": (TEXT + TEXT[TEXT.index(b"Sig") :], True),
    "a signature behind two spaces": (TEXT.replace(b"Sig: ", b"Sig:  "), False),
    "a signature without its padding": (TEXT.replace(b"==\n", b"\n"), True),
    "a hash in base 16": (said("NarHash", f" sha256:{signed_info().nar_hash.hex}"), True),
    "a URL with a slash before it": (said("URL", " /nar/signed.nar.xz"), True),
    "a URL with dots in it": (said("URL", " x/../nar/signed.nar.xz"), True),
    "a URL with a fragment": (said("URL", " nar/signed.nar.xz#there"), True),
    "a URL with a space": (said("URL", " nar/sig ned.nar.xz"), False),
    "a URL of nothing": (said("URL", " "), False),
}


def _agree(rig, routes, taken):
    target = rig.cache(routes)
    findings = ask(target)
    failed = [finding.code for finding in findings.values() if finding.status is Status.FAIL]
    settings = {
        "substituters": target.endpoint.url,
        "trusted-public-keys": " ".join(target.public_keys),
        "download-attempts": "1",
    }
    with IsolatedStore(rig.tmp_path / "nix", settings, environ=dict(os.environ)) as store:
        args = ["nix-store", "-r", str(SIGNED)]
        done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == taken, done.stderr
    assert (not failed) == taken, failed
    return findings


@pytest.mark.parametrize("name", NARINFOS)
def test_a_narinfo_passes_where_nix_takes_the_path_and_fails_where_it_does_not(rig, name):
    content, taken = NARINFOS[name]
    routes = publishing(signed_info()) | {PATHS["narinfo"]: answer(content)}
    _agree(rig, routes | {"//nar/signed.nar.xz": routes[PATHS["nar"]]}, taken)


@pytest.mark.parametrize(
    ("compression", "file", "taken"),
    [(None, bz2.compress(ARCHIVE), True), ("", bz2.compress(ARCHIVE), True), ("none", ARCHIVE, True)],
)
def test_a_compression_means_what_it_means_to_nix(rig, compression, file, taken):
    value = None if compression is None else f" {compression}"
    changes = {PATHS["narinfo"]: answer(said("Compression", value)), PATHS["nar"]: answer(file)}
    _agree(rig, publishing(signed_info()) | changes, taken)


def test_a_compression_that_is_the_name_of_an_encoding_is_not_passed_for_one(rig):
    """`identity` is what HTTP calls no encoding; Nix looks for a compressed file then, and finds none."""
    info = signed(replace(signed_info(), compression="identity", file_hash=None, file_size=None), KEY)
    target = rig.cache(publishing(info) | {PATHS["nar"]: answer(ARCHIVE)})
    finding = ask(target)["substituter.nar"]
    assert (finding.code, finding.status) == ("substituter.nar.compression", Status.SKIP)
