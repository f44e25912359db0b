"""HTTP proxies of the environment, read the way Nix reads them.

Nix leaves them to curl, so these are curl's rules: `http_proxy` in lower case only, the others in
either case, lower case first, `no_proxy` last. gfattach departs from them in one point: it asks
this machine itself directly. A forward on 127.0.0.1 is by its nature not for a proxy, whose 127.0.0.1
is another machine; but Nix would ask the proxy all the same, so `proxy_of` says what Nix does, for
a probe to warn of.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from gfattach.core.endpoint import is_localhost
from gfattach.net.proxy import Proxy

#: Ports of proxies that name none: curl's default is SOCKS's for all but https.
_PORTS = {"http": 1080, "https": 443, "socks5": 1080, "socks5h": 1080}


def proxy_of(scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that curl takes for `scheme://host`; None for none. It may hold a password."""
    names = ("http_proxy",) if scheme == "http" else (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
    proxy = _first(environ, *names, "all_proxy", "ALL_PROXY")
    if not proxy or _excepted(host, _first(environ, "no_proxy", "NO_PROXY")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> str | None:
    """The proxy that gfattach takes: curl's, and none for this machine itself."""
    return None if is_localhost(host) else proxy_of(scheme, host, environ)


def proxy_towards(scheme: str, host: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy of `proxy_for`, read. Raises ValueError for one that cannot be used."""
    text = proxy_for(scheme, host, environ)
    if text is None:
        return None
    parts = urlsplit(text)
    kind = parts.scheme.lower()
    if kind not in _PORTS or not parts.hostname:
        raise ValueError("it is no http://, https:// or socks5h:// address")
    return Proxy(
        "socks5" if kind.startswith("socks5") else kind,
        parts.hostname,
        parts.port or _PORTS[kind],
        unquote(parts.username) if parts.username else None,
        unquote(parts.password or "") if parts.username else None,
    )


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((environ[name].strip() for name in names if name in environ), "")


def _excepted(host: str, exceptions: str) -> bool:
    name = host.strip("[]").rstrip(".").lower()
    for exception in re.split(r"[\s,]+", exceptions.lower()):
        bare = exception.strip("[]").strip(".")
        if exception == "*" or (bare and (name == bare or name.endswith(f".{bare}"))):
            return True
        if "/" in exception and _within(name, exception):
            return True
    return False


def _within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
