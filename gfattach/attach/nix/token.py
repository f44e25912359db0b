"""How Nix comes to the token for its cache: from a netrc of the attachment's, which holds the user's too.

Nix reads one netrc only, and the fragment names it. The token is found by the name of the cache's own
host, and given to the address that Nix asks: a netrc knows no ports, so that a forward whose cache wants a
token listens on an address that nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfattach.core.errors import UsageError
from gfattach.core.files import remove
from gfattach.core.finding import Finding, fail
from gfattach.core.paths import Home
from gfattach.fragments import nixconf
from gfattach.fragments.home import NETRC
from gfattach.fragments.netrc import Written, is_shared
from gfattach.fragments.netrc import write_netrc as write_merged
from gfattach.nix.config import read_settings
from gfattach.nix.program import Nix
from gfattach.nixcache.target import SubstituterTarget

#: Where Nix looks for a netrc unless it is told otherwise.
_DEFAULT_NETRC = Path("/etc/nix/netrc")


def write_netrc(
    home: Home,
    target: SubstituterTarget,
    nix: Nix | None,
    environ: Mapping[str, str],
    *,
    restricted: bool = False,
) -> Written:
    """The netrc of the attachment in `home`, when `target` is asked with a token; else there is none.

    Nor is there one for a daemon that does not trust this user (`restricted`): it reads its own. Raises
    StorageError, and NixError where the user's own configuration cannot be read.
    """
    path = home.directory / NETRC
    if not target.token or restricted:
        remove(path)
        return Written(None, ())
    try:
        nixconf.check_includable(path)
    except UsageError as error:
        remove(path)
        why = "the token cannot be given to Nix, and a private cache answers it as if it had nothing"
        return Written(None, (fail("nix.netrc.path", error.fact, why, *error.hints),))
    if target.real_host and is_shared(target.endpoint.host):
        remove(path)
        return Written(None, (_no_address(target),))
    return write_merged(path, _own(nix, home, path, environ), target.endpoint.host, target.token)


def _no_address(target: SubstituterTarget) -> Finding:
    return fail(
        "nix.netrc.no-address",
        f"the token for {target.token_host} cannot be given to Nix: this system has no loopback address for "
        "one forward alone",
        "a netrc knows no ports: any server on this machine that the cache sends Nix on to would be sent the "
        "token, so Nix asks without it",
        "attach the cache by its own address, where this machine can reach it: gfattach up --substituter URL",
        "or ask the operator for a cache that anybody in the cluster may read",
    )


def _own(nix: Nix | None, home: Home, path: Path, environ: Mapping[str, str]) -> Path | None:
    """The netrc that the user's Nix reads without this attachment; None when that is the attachment's."""
    if nix is None:
        return _DEFAULT_NETRC
    ours = nixconf.include_line(nixconf.fragment_path(home))
    lines = environ.get(nixconf.VARIABLE, "").splitlines()
    without = {**environ, nixconf.VARIABLE: "\n".join(line for line in lines if line.strip() != ours)}
    named = Path(str(read_settings(nix, None, without).setting("netrc-file") or _DEFAULT_NETRC))
    return None if named == path else named
