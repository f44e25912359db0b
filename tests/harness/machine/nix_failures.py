"""What each Nix does in each failure of its substituter: `python3 -m tests.harness.machine.nix_failures`.

Real Nixes, in stores of their own, against caches on loopback that fail. Each builds a derivation whose
output the cache has: it takes that, builds it here, or ends. docs/nix-failures.md is what this prints.
"""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from gfattach.nix.isolated import IsolatedStore
from gfattach.nixcache.signature import SecretKey
from gfattach.nixcache.storepath import parse_store_path
from gfattach.trial.nix_documents import SIGNED as DERIVATION
from tests.harness.machine.nixes import NIXES
from tests.harness.substituters import binary_caches as caches
from tests.harness.substituters.binary_caches import (
    INFO,
    KEY,
    OTHER_KEY,
    after,
    answer,
    hang,
    redirect,
)

#: Seconds after which a Nix that has not ended is ended.
SECONDS = 100.0

#: Seconds that are said.
LONG = 15.0

#: What is asked of everything but where a row says otherwise: one attempt, and little time for each.
SETTINGS = {
    "max-jobs": "1",
    "sandbox-paths": "",  # a store of its own has a sandbox all the same, with a shell that may be missing
    "download-attempts": "1",
    "connect-timeout": "2",
    "stalled-download-timeout": "3",
}

HEAD = """# What each Nix does when its substituter fails

Made by `python3 -m tests.harness.machine.nix_failures` from real runs, on {date}. A cell is
how `nix-build` of a derivation ended whose output the cache has: taken from there, built here, or not at all
(fatal), the seconds where they were more than {long:.0f}, and the first complaint. There is one attempt for
each request, 2 s for a connection and 3 s for silence, but where the row says otherwise.
`tests/integration/test_nix_failures.py` holds the page to the Nixes at hand.

"""

Routes = Mapping[str, caches.Reply]

#: What is built: it needs nothing.
EXPRESSION = (
    f'derivation {{ name = "{DERIVATION.name}"; system = "builtin"; builder = "builtin:buildenv"; '
    'derivations = [ ]; manifest = "/dev/null"; }'
)
_OUTPUT = parse_store_path(str(DERIVATION.output_path))

_INFO, _NARINFO = "/nix-cache-info", f"/{_OUTPUT.digest}.narinfo"


def _signed_by(*keys: SecretKey) -> Routes:
    return caches.publishing(caches.signed(caches.signed_info(store_path=_OUTPUT), *keys))


GOOD = _signed_by(KEY)
_NAR = next(path for path in GOOD if path.startswith("/nar/"))
HTML = answer(b"<!doctype html><title>Sign in</title>", kind="text/html")


@dataclass(frozen=True)
class Ended:
    """How one Nix ended: `code` is its exit code, negative for a signal, None where it was ended."""

    code: int | None
    seconds: float
    said: str

    @property
    def how(self) -> str:
        """In a word or two."""
        if self.code is None:
            return "hangs"
        if self.code < 0:
            return f"signal {-self.code}"
        built = re.search(r"^building ", self.said, re.MULTILINE)
        return "fatal" if self.code else "built here" if built else "taken"

    def __str__(self) -> str:
        took = f" ({self.seconds:.0f} s)" if self.seconds > LONG else ""
        complaint = _complaint(self.said) if self.how != "taken" else ""
        return f"{self.how}{took}{f': {complaint}' if complaint else ''}"


def _complaint(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith(("error:", "warning:"))]
    kept = [re.sub(r"https?://[^\s'/]+", "URL", line).replace("|", "/") for line in lines]
    kept = [line for line in kept if not re.search("build of|required, but there is no|--add-root", line)]
    text = re.sub(r"/nix/store/[a-z0-9]{32}-", "", kept[0]) if kept else ""
    text = re.sub(r"[a-z0-9]{32}(?=\.narinfo)", "HASH", text)
    return text[:110]


class Trial:
    """One Nix in a store of its own, and the substituters that it is to have."""

    def __init__(self, nix: Path, stack: contextlib.ExitStack) -> None:
        self._nix = nix
        self._stack = stack
        self._store: IsolatedStore | None = None

    def serving(self, routes: Routes) -> tuple[str, Callable[[], object]]:
        """The URL of a cache with `routes`, and what takes it down."""
        cache = self._stack.enter_context(contextlib.ExitStack())
        return f"http://127.0.0.1:{cache.enter_context(caches.serving(routes))}", cache.close

    def asked(self, *urls: str, **settings: str) -> Ended:
        """Have it ask for the path and build nothing."""
        return self._run(("nix-store", "--realise", str(_OUTPUT)), urls, {}, settings)

    def realise(self, *urls: str, variables: Mapping[str, str] | None = None, **settings: str) -> Ended:
        """Have it take the path or build it; an underscore in a setting's name stands for a hyphen."""
        return self._run(("nix-build", "--no-out-link", "-E", EXPRESSION), urls, variables or {}, settings)

    def _run(
        self,
        args: Sequence[str],
        urls: Sequence[str],
        variables: Mapping[str, str],
        settings: Mapping[str, str],
    ) -> Ended:
        if self._store is None:
            work = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            own = {"substituters": " ".join(urls), "trusted-public-keys": str(KEY.public_key), **SETTINGS}
            own |= {name.replace("_", "-"): value for name, value in settings.items()}
            self._store = self._stack.enter_context(
                IsolatedStore(work, own, variables=variables, environ=os.environ)
            )
        command = [str(self._nix.with_name(args[0])), *args[1:]]
        started = time.monotonic()
        try:
            done = subprocess.run(
                command, env=self._store.environment, capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return Ended(None, time.monotonic() - started, "")
        return Ended(done.returncode, time.monotonic() - started, done.stderr)


Row = Callable[[Trial], Ended]


def changed(changes: Routes, variables: Mapping[str, str] | None = None, **settings: str) -> Row:
    """A good cache but for `changes`."""

    def row(trial: Trial) -> Ended:
        url, _ = trial.serving({**GOOD, **changes})
        return trial.realise(url, variables=variables, **settings)

    return row


def escaped(trial: Trial) -> Ended:
    routes = {
        f"{place}{path}": reply for place in ("/my+cache", "/my%2Bcache") for path, reply in GOOD.items()
    }
    return trial.realise(f"{trial.serving(routes)[0]}/my+cache")


def refused(trial: Trial) -> Ended:
    url, close = trial.serving({})
    close()
    return trial.realise(url)


def used_before(trial: Trial, *, beside: bool = False) -> Ended:
    """It was asked, had nothing, and refuses now; `beside` it is one that has got the path since."""
    url, close = trial.serving({_INFO: answer(INFO)})
    routes: dict[str, caches.Reply] = {_INFO: answer(INFO)}
    urls = (url, trial.serving(routes)[0]) if beside else (url,)
    trial.asked(*urls, narinfo_cache_negative_ttl="0")
    close()
    routes.update(GOOD)
    return trial.realise(*urls)


def key_changed(trial: Trial) -> Ended:
    """The cache has been signed anew since it was asked."""
    routes: dict[str, caches.Reply] = dict(_signed_by(OTHER_KEY))
    url, _ = trial.serving(routes)
    trial.asked(url)
    routes.update(GOOD)
    return trial.realise(url)


def pushed_since(trial: Trial) -> Ended:
    """The path has been pushed since it was asked for."""
    routes: dict[str, caches.Reply] = {_INFO: answer(INFO)}
    url, _ = trial.serving(routes)
    trial.asked(url)
    routes.update(GOOD)
    return trial.realise(url)


def _with_line(text: str) -> Routes:
    info = caches.signed(caches.signed_info(store_path=_OUTPUT), KEY)
    return caches.publishing(replace(info, signatures=(*info.signatures, text)))


def _encoded(path: str, name: str, encode: Callable[[bytes], bytes]) -> Routes:
    body = bytes(GOOD[path]).partition(b"\r\n\r\n")[2]  # type: ignore[arg-type]
    return {path: answer(encode(body), Content_Encoding=name)}


def _typed_html() -> Routes:
    return {path: bytes(GOOD[path]).replace(b"text/plain", b"text/html") for path in (_INFO, _NARINFO)}  # type: ignore[arg-type]


#: In the order in which things are asked for.
ROWS: Mapping[str, Row] = {
    "all is well": changed({}),
    "no such host": lambda trial: trial.realise("http://cache.invalid"),
    "port refuses, never used before": refused,
    "port refuses, used before": used_before,
    "port refuses, used before; another cache has the path": lambda trial: used_before(trial, beside=True),
    "accepts and says nothing": changed({_INFO: hang}),
    "`nix-cache-info`: 401": changed({_INFO: answer(b"", 401)}),
    "`nix-cache-info`: 404": changed({_INFO: answer(b"", 404)}),
    "`nix-cache-info`: 503": changed({_INFO: answer(b"", 503)}),
    "`nix-cache-info`: a login page": changed({_INFO: HTML}),
    "`nix-cache-info`: empty": changed({_INFO: answer(b"")}),
    "`nix-cache-info`: another StoreDir": changed({_INFO: answer(b"StoreDir: /gnu/store\n")}),
    "`nix-cache-info`: Priority that is no number": changed({_INFO: answer(INFO + b"Priority: high\n")}),
    "narinfo: 401": changed({_NARINFO: answer(b"", 401)}),
    "narinfo: 403": changed({_NARINFO: answer(b"", 403)}),
    "narinfo: 404": changed({_NARINFO: answer(b"", 404)}),
    "narinfo: 503": changed({_NARINFO: answer(b"", 503)}),
    "narinfo: 429": changed({_NARINFO: answer(b"", 429)}),
    "narinfo: 429 once, two attempts": lambda trial: changed(
        {_NARINFO: after(1, answer(b"", 429), GOOD[_NARINFO])}, download_attempts="2"
    )(trial),
    "narinfo: a login page": changed({_NARINFO: HTML}),
    "info and narinfo typed `text/html`": changed(_typed_html()),
    "unsigned": changed(_signed_by()),
    "signed by another key": changed(_signed_by(OTHER_KEY)),
    "signed well, and `Sig: garbage`": changed(_with_line("garbage")),
    "signed well, and a short signature by another name": changed(_with_line("other-1:AAAA")),
    "signed well, and a short signature by the same name": changed(_with_line(f"{KEY.name}:AAAA")),
    "signed anew since it was asked": key_changed,
    "pushed since it was asked": pushed_since,
    "NAR: 404": changed({_NAR: answer(b"", 404)}),
    "NAR: corrupt": changed({_NAR: answer(b"x" * 500)}),
    "NAR: cut off": changed({_NAR: answer(b"\xfd7zXZ", length=500)}),
    "NAR: redirected to a name that only the cluster has": changed(
        {_NAR: redirect("http://minio.storage.svc.cluster.local/x")}
    ),
    "narinfo in gzip": changed(_encoded(_NARINFO, "gzip", gzip.compress)),
    "narinfo in deflate": changed(_encoded(_NARINFO, "deflate", zlib.compress)),
    "narinfo in `identity`": changed(_encoded(_NARINFO, "identity", bytes)),
    "narinfo in xz": changed(_encoded(_NARINFO, "xz", lzma.compress)),
    "NAR in gzip, around xz": changed(_encoded(_NAR, "gzip", gzip.compress)),
    "`/my+cache`, at a server that undoes escapes": escaped,
    "`NIX_STORE_DIR` elsewhere": changed({}, variables={"NIX_STORE_DIR": "/opt/nix/store"}),
}


def cell(nix: Path, row: Row) -> Ended:
    """How a Nix ended in one row."""
    with contextlib.ExitStack() as stack:
        return row(Trial(nix, stack))


def programs() -> dict[str, Path]:
    """The Nixes that are there, by label."""
    found = {label: there.launcher for label, there in NIXES.items() if there is not None}
    machines = shutil.which("nix")
    return ({"debian-2.8.0": Path(machines)} if machines else {}) | found


def main() -> None:
    """Print the page."""
    nixes = programs()
    print(HEAD.format(date=time.strftime("%Y-%m-%d"), long=LONG), end="")
    print("| | " + " | ".join(nixes) + " |")
    print("|---" * (len(nixes) + 1) + "|")
    for name, row in ROWS.items():
        cells = []
        for label, nix in nixes.items():
            cells.append(str(cell(nix, row)))
            print(f"{name}: {label}: {cells[-1]}", file=sys.stderr, flush=True)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
