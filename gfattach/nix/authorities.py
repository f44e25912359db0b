"""Which certificate authorities Nix trusts: the file, and what is in it.

The setting `ssl-cert-file` (from 2.15 on) comes before the variables, and those before the places where
systems keep a bundle. Certificates are compared as text, so nothing has to understand them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from gfattach.core.deadline import Deadline
from gfattach.nix.config import Settings, read_settings, system_environment
from gfattach.nix.program import Nix

VARIABLES = ("NIX_SSL_CERT_FILE", "SSL_CERT_FILE")

#: Where Nix looks last, in this order.
BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt"),
)

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(?P<body>[^-]*)-----END CERTIFICATE-----")


def bundle(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """The file that a Nix with these settings trusts; None when it finds none."""
    named = settings.setting("ssl-cert-file")
    return Path(named) if named else own_bundle(environ)


def own_bundle(environ: Mapping[str, str]) -> Path | None:
    """The file that a Nix without settings trusts in this environment; None when it finds none."""
    named = next((environ[name] for name in VARIABLES if environ.get(name)), "")
    return Path(named) if named else next((path for path in BUNDLES if path.exists()), None)


def daemon_bundle(nix: Nix, deadline: Deadline, environ: Mapping[str, str]) -> Path | None:
    """The file that a daemon on this machine goes by, as far as a client can see: not its environment.

    Neither this user's variables nor this user's nix.conf count for it. Raises NixError.
    """
    plain = {name: value for name, value in system_environment(environ).items() if name not in VARIABLES}
    return bundle(read_settings(nix, deadline, plain), {})


def certificates(file: Path) -> frozenset[str]:
    """The certificates in a PEM file, each as its base 64 without white space. Raises OSError."""
    text = file.read_text("latin-1")
    return frozenset("".join(match["body"].split()) for match in _CERTIFICATE.finditer(text))
