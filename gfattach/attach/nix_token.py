"""How Nix comes to the token for its cache: from a netrc of the attachment's, which holds the user's too.

Nix reads one netrc only, and the fragment names it. The token is found by the name of the host that is
asked, so that a forward on an address that all of this machine shares gets none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from gfattach.credential.tokens import has_token, headers_for
from gfattach.engine import Run
from gfattach.errors import UsageError
from gfattach.files import remove
from gfattach.finding import Finding, fail, ok
from gfattach.fragments import nixconf
from gfattach.fragments.home import NETRC
from gfattach.fragments.netrc import Written
from gfattach.fragments.netrc import write_netrc as write_merged
from gfattach.nix.config import read_settings
from gfattach.nix.program import Nix
from gfattach.nixcache.target import SubstituterTarget
from gfattach.paths import Home

#: Where Nix looks for a netrc unless it is told otherwise.
_DEFAULT_NETRC = Path("/etc/nix/netrc")


def with_token(target: SubstituterTarget, run: Run) -> SubstituterTarget:
    """`target` with the token that something has for its host, found as a step of `run`; itself without any.

    Raises CredentialError for a token that cannot be read or is not good now, and StorageError.
    """
    host = target.endpoint.host
    if target.headers or not has_token(host):
        return target
    found: list[tuple[tuple[str, str], ...]] = []

    def find(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        found.append(headers_for(host))
        return {"token": ok("credential.nix.found", f"{host} is asked with the token that is stored for it")}

    run.step("token", "find the token for the substituter", find)
    return replace(target, headers=found[0])


def write_netrc(home: Home, target: SubstituterTarget, nix: Nix | None) -> Written:
    """The netrc of the attachment in `home`, when `target` is asked with a token; else there is none.

    Raises StorageError, and NixError where the user's own configuration cannot be read.
    """
    path = home.directory / NETRC
    if not target.token:
        remove(path)
        return Written(None, ())
    try:
        nixconf.check_includable(path)
    except UsageError as error:
        remove(path)
        why = "the token cannot be given to Nix, and a private cache answers it as if it had nothing"
        return Written(None, (fail("nix.netrc.path", error.fact, why, *error.hints),))
    return write_merged(path, _own(nix, home, path), target.endpoint.host, target.token)


def _own(nix: Nix | None, home: Home, path: Path) -> Path | None:
    """The netrc that the user's Nix reads without this attachment; None when that is the attachment's."""
    if nix is None:
        return _DEFAULT_NETRC
    ours = nixconf.include_line(nixconf.fragment_path(home))
    lines = os.environ.get(nixconf.VARIABLE, "").splitlines()
    environ = {**os.environ, nixconf.VARIABLE: "\n".join(line for line in lines if line.strip() != ours)}
    named = Path(str(read_settings(nix, environ=environ).setting("netrc-file") or _DEFAULT_NETRC))
    return None if named == path else named
