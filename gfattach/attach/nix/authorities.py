"""The bundle of authorities that the Nix fragment names, where the site has an authority of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gfattach.core.files import remove, storage_error, write_atomic
from gfattach.core.paths import Home
from gfattach.fragments import nixconf
from gfattach.fragments.home import NIX_AUTHORITIES
from gfattach.nix.authorities import own_bundle
from gfattach.nixcache.target import SubstituterTarget


def write_bundle(
    home: Home,
    target: SubstituterTarget,
    settings: Mapping[str, Any] | None,
    environ: Mapping[str, str],
    *,
    daemon: bool,
) -> Path | None:
    """Write what Nix trusts already and the site's authority into one file; None where there is none to name.

    `ssl-cert-file` takes the place of what Nix trusts, so the bundle holds that too. A Nix before 2.15 knows
    no such setting, and a daemon goes by its own: `nix.ca` says what to do then. Raises StorageError.
    """
    path = home.directory / NIX_AUTHORITIES
    known = settings is not None and nixconf.AUTHORITIES in settings
    if target.ca_file is None or not target.endpoint.tls or daemon or not known:
        remove(path)
        return None
    assert settings is not None
    named = settings[nixconf.AUTHORITIES]
    own = Path(str(named)) if named and Path(str(named)) != path else own_bundle(environ)
    parts = [file for file in (own, target.ca_file) if file is not None]
    try:
        content = b"\n".join(file.read_bytes().rstrip() for file in parts if file.exists())
    except OSError as error:
        raise storage_error("read", target.ca_file, error) from error
    write_atomic(path, content + b"\n")
    return path
