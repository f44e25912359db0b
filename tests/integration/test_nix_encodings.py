"""Which encodings each Nix undoes, held against the table; what any of them undoes is undone here too."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import os
import subprocess
import sys
import zlib
from typing import Any

import brotli
import pytest
from msgspec.structs import replace

from gfattach.core.engine import Run
from gfattach.core.finding import Stage, Status
from gfattach.nix.encodings import undone
from gfattach.nix.isolated import IsolatedStore
from gfattach.nix.program import Nix, nix_store
from gfattach.probes.nix.stage import STAGE, NixSubject
from tests.harness.machine.nix_home import TARGET
from tests.harness.machine.nixes import NIX_SECONDS, private_environment, real_nix
from tests.harness.substituters import binary_caches as nix_caches
from tests.harness.substituters.binary_caches import (
    ARCHIVE,
    KEY,
    SIGNED,
    answer,
    described,
    signed,
    signed_info,
)
from tests.harness.substituters.stage import PATHS, TRUSTED, ask, authority, rig

__all__ = ["authority", "rig"]

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

ZSTD = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": ZSTD.compress,
    "deflate": zlib.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "identity": bytes,
    "none": bytes,
    "GZIP": gzip.compress,
    "gzip, gzip": lambda content: gzip.compress(gzip.compress(content)),
}


#: What the question of encodings needs, and it.
NAMED = Stage("nix", "Nix", tuple(p for p in STAGE.probes if p.name in ("nix.program", "nix.encodings")))


@pytest.fixture(scope="module")
def nix(each_nix) -> Nix:
    return real_nix()


def realised(nix: Nix, tmp_path, url: str) -> subprocess.CompletedProcess[str]:
    settings = {"substituters": url, "trusted-public-keys": TRUSTED, "download-attempts": "1"}
    with IsolatedStore(tmp_path / "nix", settings, environ=os.environ) as store:
        args: list[Any] = [nix_store(nix), "--realise", str(SIGNED)]
        return subprocess.run(
            args, env=store.environment, capture_output=True, text=True, timeout=NIX_SECONDS
        )


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("what", ["narinfo", "nar"])
def test_an_encoding_is_undone_by_this_nix_where_the_table_says_so_and_here_always(
    rig, nix, tmp_path, what, encoding
):
    body = rig.good()[PATHS[what]].partition(b"\r\n\r\n")[2]
    sent = answer(ENCODERS[encoding](body), Content_Encoding=encoding)
    target = rig.cache(rig.good(**{what: sent}))
    found = ask(target)
    assert found["substituter.nar"].code == "substituter.nar.ok"
    assert encoding in found[f"substituter.{what}"].data["encodings"]
    good = realised(nix, tmp_path, target.endpoint.url).returncode == 0
    assert good == undone(nix.minor, encoding, nar=what == "nar")


@pytest.mark.parametrize(
    ("compression", "encode", "code"),
    [
        ("br", brotli.compress, "ok"),
        ("zstd", ZSTD.compress, "ok"),
        ("gzip", gzip.compress, "ok"),
        ("lzma", lambda content: lzma.compress(content, format=lzma.FORMAT_ALONE), "ok"),
        ("lz4", bytes, "compression"),
        ("lzip", bytes, "compression"),
        ("something-new", bytes, "compression"),
    ],
)
def test_a_compression_that_nix_undoes_is_undone_and_another_one_is_no_damage(
    rig, nix, tmp_path, compression, encode, code
):
    file = encode(ARCHIVE)
    info = signed(replace(signed_info(), **described(ARCHIVE, file, compression)), KEY)
    target = rig.cache({**nix_caches.publishing(info), f"/{info.url}": answer(file)})
    finding = ask(target)["substituter.nar"]
    assert finding.code == f"substituter.nar.{code}"
    assert finding.status is (Status.OK if code == "ok" else Status.SKIP)
    if code == "ok":
        assert realised(nix, tmp_path, target.endpoint.url).returncode == 0


@pytest.mark.parametrize("encoding", ["aws-chunked", "dcb", "compress"])
@pytest.mark.parametrize("what", ["info", "narinfo", "nar"])
def test_an_encoding_that_nothing_undoes_is_skipped_and_blamed_on_nobody(rig, what, encoding):
    target = rig.cache(rig.good(**{what: answer(b"anything", Content_Encoding=encoding)}))
    finding = ask(target)[f"substituter.{what}"]
    assert finding.code == f"substituter.{what}.{'compression' if what == 'nar' else 'encoding'}"
    assert finding.status is Status.SKIP and "push" not in " ".join(finding.hints)


def test_the_stage_of_nix_names_an_encoding_that_this_nix_does_not_undo(nix, tmp_path):
    environ = private_environment(tmp_path)
    for name in ENCODERS:
        subject = NixSubject(program=str(nix.path), target=TARGET, environ=environ, nar_encodings=(name,))
        finding = Run().stage(NAMED, subject).findings["nix.encodings"]
        good = undone(nix.minor, name, nar=True)
        assert finding.code == f"nix.encodings.{'ok' if good else 'unknown'}"
        assert good or name in finding.seen
