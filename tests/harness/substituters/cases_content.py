"""By code of the stage "substituter", the cache that earns it by what it serves, and by its signatures."""

import lzma
import shutil

from msgspec.structs import replace

from gfattach.nixcache import narinfo
from gfattach.nixcache.nar import Regular, serialise
from tests.harness.machine import faulty_servers as faults
from tests.harness.substituters.binary_caches import (
    ARCHIVE,
    INFO,
    KEY,
    OTHER_KEY,
    PROBE,
    SIGNED,
    after,
    answer,
    described,
    hang,
    hang_up,
    probe_info,
    redirect,
    signed,
    signed_info,
)
from tests.harness.substituters.stage import (
    BAD_HOST,
    HTML,
    OTHER_KEY_SAME_NAME,
    PATHS,
    SAME_KEY_OTHER_NAME,
    TRUSTED,
)

ACCESS_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"


# What every request may run into: the same for the info, a narinfo and a NAR.


def _fault(name: str, reply):
    return lambda rig: rig.cache(rig.good(**{name: reply}))


def _silent_at(name: str):
    def arrange(rig):
        rig.soon()
        return _from_the_second(name, hang)(rig)

    return arrange


def _from_the_second(name: str, reply):
    """The probe of the protocol asks for the info first, and gets it."""

    def arrange(rig):
        good = rig.good()
        first = 1 if name == "info" else 0
        return rig.cache(good | {PATHS[name]: after(first, good[PATHS[name]], reply)})

    return arrange


def _untrusted_from(handshake):
    """TLS with a certificate that is trusted, until the connection of that number."""

    def arrange(rig):
        right = rig.authority.context("127.0.0.1")
        wrong = faults.Authority(rig.tmp_path).context("127.0.0.1")
        return rig.cache(rig.good(), "https", lambda number: right if number < handshake else wrong)

    return arrange


def _authority_gone_after(path, times):
    """The authority's file is there until `path` has been asked for so many times."""

    def arrange(rig):
        file = rig.tmp_path / "ca.pem"
        shutil.copy(rig.authority.ca, file)
        routes = rig.good()
        reply = routes[path]

        def take_away(connection) -> None:
            file.unlink(missing_ok=True)
            connection.sendall(reply)

        return rig.cache(routes | {path: after(times - 1, reply, take_away)}, "https", ca_file=file)

    return arrange


def _bad_header(rig):
    return rig.cache(rig.good(), headers=(("X-Token", "s3cret\r\n"),))


ELSEWHERE = redirect("http://minio.storage.invalid/bucket/file?X-Amz-Signature=s3cret")


def _faults(name: str, handshake, unusable):
    return {
        f"substituter.{name}.unauthorised": _fault(name, answer(b"who are you\n", 401)),
        f"substituter.{name}.forbidden": _fault(name, answer(b"not for you\n", 403)),
        f"substituter.{name}.error": _fault(name, answer(b"upstream\n", 503)),
        f"substituter.{name}.status": _fault(name, answer(b"teapot\n", 418)),
        f"substituter.{name}.bad-host": _fault(name, BAD_HOST),
        f"substituter.{name}.in-cluster": _fault(name, ELSEWHERE),
        f"substituter.{name}.redirect": _fault(name, redirect(PATHS[name])),
        f"substituter.{name}.silent": _silent_at(name),
        f"substituter.{name}.broken": _from_the_second(name, hang_up),
        f"substituter.{name}.tls": _untrusted_from(handshake),
        f"substituter.{name}.unusable": unusable,
    }


# What is served.

SIGNED_FIELDS = described(ARCHIVE, lzma.compress(ARCHIVE))


def _damaged(**changes):
    """A cache whose narinfo, well signed, says something else of the NAR than it is."""
    return lambda rig: rig.published(signed(signed_info(**changes), KEY))


def nothing_published(rig):
    return rig.cache({"/nix-cache-info": answer(INFO)})


def _mismatch(rig):
    body = narinfo.render(signed(signed_info(), KEY))
    return rig.cache({"/nix-cache-info": answer(INFO), f"/{PROBE.digest}.narinfo": answer(body)},
                     probe_path=str(PROBE))  # fmt: skip


CONTENT = {
    "substituter.info.ok": lambda rig: rig.cache(rig.good()),
    "substituter.info.mass-query": lambda rig: rig.cache(rig.good(info=answer(b"StoreDir: /nix/store\n"))),
    "substituter.info.absent": lambda rig: rig.cache({}),
    "substituter.info.store": lambda rig: rig.cache(rig.good(info=answer(b"StoreDir: /gnu/store\n"))),
    **_faults("info", 1, _bad_header),
    "substituter.info.login": _fault("info", HTML),
    "substituter.info.malformed": _fault("info", answer(b"hello\n")),
    "substituter.info.large": _fault("info", answer(INFO + b"X: y\n" * 20_000)),
    "substituter.info.encoding": _fault("info", answer(INFO, Content_Encoding="dcb")),
    "substituter.narinfo.ok": lambda rig: rig.cache(rig.good()),
    "substituter.narinfo.absent": nothing_published,
    "substituter.narinfo.signed-absent": lambda rig: rig.published(
        probe_info(), probe_path=str(PROBE), signed_path=str(SIGNED)
    ),
    "substituter.narinfo.hidden": _fault("narinfo", answer(ACCESS_DENIED, 403, "application/xml")),
    "substituter.narinfo.mismatch": _mismatch,
    **_faults("narinfo", 2, _authority_gone_after(PATHS["info"], 2)),
    "substituter.narinfo.login": _fault("narinfo", HTML),
    "substituter.narinfo.malformed": _fault("narinfo", answer(b"hello\n")),
    "substituter.narinfo.large": _fault("narinfo", answer(b"X: y\n" * 220_000)),
    "substituter.narinfo.encoding": _fault("narinfo", answer(b"x", Content_Encoding="dcb")),
    "substituter.nar.ok": lambda rig: rig.cache(rig.good()),
    "substituter.nar.nothing": nothing_published,
    "substituter.nar.large": _damaged(nar_size=17 * 1024 * 1024),
    "substituter.nar.compression": _damaged(compression="lz4"),
    "substituter.nar.absent": _fault("nar", answer(b"", 404)),
    "substituter.nar.truncated": _fault("nar", answer(lzma.compress(ARCHIVE)[:40], length=144)),
    "substituter.nar.corrupt": _fault("nar", HTML),
    "substituter.nar.size": _fault("nar", answer(lzma.compress(serialise(Regular(b"another"))))),
    "substituter.nar.hash": _fault("nar", answer(lzma.compress(ARCHIVE[:-8] + b"x" * 8))),
    **_faults("nar", 3, _authority_gone_after(PATHS["narinfo"], 1)),
}
NO_SIGNATURE = ("test-1:AAAA",)


def signed_by(*keys, trusted=(TRUSTED,)):
    return lambda rig: rig.published(signed(signed_info(store_path=rig.path), *keys), public_keys=trusted)


SIGNATURE = {
    "substituter.signature.ok": signed_by(OTHER_KEY, KEY),
    "substituter.signature.nothing": nothing_published,
    "substituter.signature.no-keys": signed_by(KEY, trusted=()),
    "substituter.signature.key-malformed": signed_by(KEY, trusted=(TRUSTED, "test-1:AAAA")),
    "substituter.signature.unproved": lambda rig: rig.published(probe_info(), probe_path=str(PROBE)),
    "substituter.signature.unsigned": signed_by(),
    "substituter.signature.malformed": lambda rig: rig.published(
        replace(signed_info(store_path=rig.path), signatures=NO_SIGNATURE)
    ),
    "substituter.signature.unreadable": lambda rig: rig.published(
        replace(
            signed(signed_info(store_path=rig.path), KEY),
            signatures=(*signed(signed_info(store_path=rig.path), KEY).signatures, "garbage"),
        )
    ),
    "substituter.signature.unknown-key": signed_by(OTHER_KEY),
    "substituter.signature.wrong-key": signed_by(KEY, trusted=(OTHER_KEY_SAME_NAME,)),
    "substituter.signature.key-hidden": signed_by(KEY, trusted=(OTHER_KEY_SAME_NAME, TRUSTED)),
    "substituter.signature.key-name": signed_by(KEY, trusted=(SAME_KEY_OTHER_NAME,)),
    "substituter.signature.content-address": lambda rig: rig.published(
        signed(signed_info(content_address=probe_info().content_address), KEY)
    ),
}
