"""Whom a client of a binary cache trusts: the site's authority, or what Nix goes by."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.tls.context import trusting


def tls_context(ca_file: Path | None, environ: Mapping[str, str]) -> ssl.SSLContext:
    """What a server's certificate is checked against: `ca_file` alone, or else what Nix takes.

    That is `NIX_SSL_CERT_FILE`, `SSL_CERT_FILE`, or the platform's authorities. Raises NixCacheError
    of kind CA_FILE.
    """
    named = ca_file or environ.get("NIX_SSL_CERT_FILE") or environ.get("SSL_CERT_FILE") or None
    try:
        return trusting(named)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        bad = isinstance(error, ssl.SSLError | ValueError)
        reason = "it holds no certificate" if bad else getattr(error, "strerror", "") or error
        raise NixCacheError(
            Kind.CA_FILE,
            f"the authority file {named} cannot be used: {str(reason).lower()}",
            f"look at it: openssl x509 -in {named} -noout -subject -enddate",
        ) from error
