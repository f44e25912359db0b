"""How Nix comes to the token for its cache: from a netrc of the attachment's, which holds the user's too.

Nix reads one netrc only, and the fragment names it. The token is found by the name of the cache's own
host, and given to the address that Nix asks: a netrc knows no ports, so that a forward whose cache wants a
token listens on an address that nothing else does.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

from gfattach.agent.model.spec import ForwardSpec
from gfattach.attach.model.token_step import find_headers
from gfattach.core.engine import Run
from gfattach.core.errors import CredentialError, UsageError
from gfattach.core.files import remove
from gfattach.core.finding import Finding, fail, ok
from gfattach.core.paths import Home
from gfattach.credential.tokens import has_token
from gfattach.fragments import nixconf
from gfattach.fragments.home import NETRC
from gfattach.fragments.netrc import Written, is_shared
from gfattach.fragments.netrc import write_netrc as write_merged
from gfattach.nix.config import read_settings
from gfattach.nix.program import Nix
from gfattach.nixcache.target import SubstituterTarget

#: Where Nix looks for a netrc unless it is told otherwise.
_DEFAULT_NETRC = Path("/etc/nix/netrc")


def own_address(name: str) -> str | None:
    """The loopback address of the forward `name` alone, the same every time; None where there is only one.

    On Linux all of 127.0.0.0/8 is this machine; 127.0.0.0/16 is left to what others choose by hand.
    """
    if sys.platform != "linux":
        return None
    digest = hashlib.sha256(f"{os.geteuid()} {name}".encode()).digest()
    second, third, fourth = digest[0] % 255 + 1, digest[1], digest[2] % 254 + 1
    return f"127.{second}.{third}.{fourth}"


def with_address(spec: ForwardSpec, target: SubstituterTarget) -> ForwardSpec:
    """The forward of `target`, at an address of its own if something has a token for it and there is one.

    It has a name of its own then too: what is forwarded without a token keeps its address. Raises
    StorageError.
    """
    try:
        wanted = has_token(target.token_host)
    except CredentialError:
        wanted = True  # it is said where the token is asked for
    name = f"{spec.name}+token"
    address = own_address(name) if wanted else None
    return spec if address is None else replace(spec, name=name, address=address)


def with_token(target: SubstituterTarget, run: Run) -> SubstituterTarget:
    """`target` with the token that something has for its host, found as a step of `run`; itself without any.

    Raises CredentialError for a token that cannot be read or is not good now, and StorageError.
    """
    if target.headers:
        return target
    host = target.token_host
    found = ok("credential.nix.found", f"{host} is asked with the token that is stored for it")
    return replace(target, headers=find_headers(host, run, "token", "the substituter", found))


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
    if target.real_host and is_shared(target.endpoint.host):
        remove(path)
        return Written(None, (_no_address(target),))
    return write_merged(path, _own(nix, home, path), target.endpoint.host, target.token)


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


def _own(nix: Nix | None, home: Home, path: Path) -> Path | None:
    """The netrc that the user's Nix reads without this attachment; None when that is the attachment's."""
    if nix is None:
        return _DEFAULT_NETRC
    ours = nixconf.include_line(nixconf.fragment_path(home))
    lines = os.environ.get(nixconf.VARIABLE, "").splitlines()
    environ = {**os.environ, nixconf.VARIABLE: "\n".join(line for line in lines if line.strip() != ours)}
    named = Path(str(read_settings(nix, environ=environ).setting("netrc-file") or _DEFAULT_NETRC))
    return None if named == path else named
