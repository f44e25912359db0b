"""A client of one binary cache: its info, its narinfos, its NARs.

Every call ends by its deadline, reads no more than its limit, and raises NixCacheError alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from gfattach.core.deadline import Deadline
from gfattach.nixcache import attic, cacheinfo, narinfo
from gfattach.nixcache.cacheinfo import CacheInfo
from gfattach.nixcache.decompress import PIECE, Readable, checkable, codings, decoded, opened
from gfattach.nixcache.errors import FormatError, Kind, NixCacheError
from gfattach.nixcache.hashes import Hash
from gfattach.nixcache.nar import Measure
from gfattach.nixcache.narinfo import NarInfo
from gfattach.nixcache.storepath import StorePath
from gfattach.nixcache.target import SubstituterTarget
from gfattach.nixcache.transport import Body, Transport

#: Bytes of a NAR, compressed or not, unless the caller says otherwise.
NAR_LIMIT = 64 * 1024 * 1024

T = TypeVar("T")


class Answer(Struct, Generic[T], frozen=True):
    """What was asked for, and the addresses it took: more than one where there were redirects.

    `encoding` is the Content-Encoding that it came in, as the server wrote it; empty without one.
    """

    value: T
    hops: tuple[str, ...]
    encoding: str = ""


class FetchedNar(Struct, frozen=True):
    """What a NAR turned out to be: sizes in bytes.

    `nar_hash` and `nar_size` are None where its compression cannot be undone on this machine.
    """

    file_hash: Hash
    file_size: int
    nar_hash: Hash | None
    nar_size: int | None


class NixCache:
    """A substituter as something to ask. To be closed; one thread at a time.

    `environ` is where proxies and authorities are named; by default the environment.
    """

    def __init__(self, target: SubstituterTarget, environ: Mapping[str, str] | None = None) -> None:
        self._transport = Transport(target, environ)

    def __enter__(self) -> NixCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def cache_info(self, deadline: Deadline) -> Answer[CacheInfo]:
        """What the cache says of itself. Raises NixCacheError."""
        return self._document("nix-cache-info", cacheinfo.parse, deadline, cacheinfo.LIMIT)

    def narinfo(self, path: StorePath, deadline: Deadline) -> Answer[NarInfo] | None:
        """What the cache offers for `path`; None when it has no such path. Raises NixCacheError."""
        try:
            return self._document(f"{path.digest}.narinfo", narinfo.parse, deadline, narinfo.LIMIT)
        except NixCacheError as error:
            if error.status in (404, 410):
                return None
            raise

    def attic_config(self, deadline: Deadline) -> attic.CacheConfig | None:
        """What the server says of the cache if it is an Attic; None for another. Raises NixCacheError."""
        url = attic.config_url(self._transport.target.endpoint)
        if url is None:
            return None
        try:
            return self._document(url, attic.parse_config, deadline, attic.LIMIT).value
        except NixCacheError as error:
            other = error.kind in (Kind.MALFORMED, Kind.HTML, Kind.TOO_LARGE, Kind.REDIRECT)
            # Other servers refuse in ways of their own a path that they do not know.
            if other or error.redirected or error.status in (400, 403, 404, 405, 410, 501):
                return None
            raise

    def nar(self, info: NarInfo, deadline: Deadline, limit: int = NAR_LIMIT) -> Answer[FetchedNar]:
        """Fetch the NAR that `info` names and measure it, keeping none of it. Raises NixCacheError.

        To compare it with what `info` says is the caller's business.
        """
        with self._transport.got(info.url, deadline) as body:
            return Answer(_measured(info.compression, body, limit), body.hops, body.encoding)

    def _document(
        self, location: str, parse: Callable[[bytes], T], deadline: Deadline, limit: int
    ) -> Answer[T]:
        """What `parse` makes of a small document. Raises NixCacheError, of kind HTML for a page.

        Nix goes by the text and never by its media type: some servers call a narinfo a page.
        """
        with (
            self._transport.got(location, deadline) as body,
            decoded(codings(body.encoding), body) as reader,
        ):
            content = bytearray()
            while piece := reader.read(PIECE):
                content += piece
                if len(content) > limit:
                    raise NixCacheError(Kind.TOO_LARGE, f"{body.hops[-1]} is larger than {limit} bytes")
            page = NixCacheError(Kind.HTML, f"{body.hops[-1]} answers with a web page", host=body.host)
            if cacheinfo.looks_like_html(bytes(content)):
                raise page
            try:
                value = parse(bytes(content))
            except FormatError as error:
                if cacheinfo.typed_html(body.content_type):
                    raise page from error
                raise
            return Answer(value, body.hops, body.encoding)


def _measured(compression: str, body: Body, limit: int) -> FetchedNar:
    """Read a NAR to its end and say what went by."""
    file, content = Measure(), Measure()
    with decoded(codings(body.encoding), body) as plain:
        transported = _Measured(plain, file, limit)
        if not checkable(compression):
            while transported.read(PIECE):
                pass
            return FetchedNar(file.hash, file.size, None, None)
        with opened(compression, transported) as reader:
            unpacked = _Measured(reader, content, limit)
            while unpacked.read(PIECE):
                pass
    return FetchedNar(file.hash, file.size, content.hash, content.size)


class _Measured:
    """A reader that measures what passes through it, and ends it beyond a limit."""

    def __init__(self, source: Readable, measure: Measure, limit: int) -> None:
        self._source = source
        self._measure = measure
        self._limit = limit

    def read(self, size: int, /) -> bytes:
        """As the source's."""
        piece = self._source.read(size)
        self._measure.update(piece)
        if self._measure.size > self._limit:
            raise NixCacheError(Kind.TOO_LARGE, f"the NAR is larger than {self._limit} bytes")
        return piece
