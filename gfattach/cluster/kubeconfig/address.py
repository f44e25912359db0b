"""Where an API server is, and which proxy leads there: the addresses of a kubeconfig and of the environment.

The rules are those of kubectl and of Go's net/http: a kubeconfig's `proxy-url` decides; without one,
HTTPS_PROXY (or HTTP_PROXY for a plain server) does, except towards this machine and what NO_PROXY names.
"""

from __future__ import annotations

import ipaddress
import posixpath
import shlex
from collections.abc import Mapping
from urllib.parse import SplitResult, quote, unquote, urlsplit

from msgspec import Struct

from gfattach.cluster.kubeconfig.entries import Cluster
from gfattach.core.errors import ClusterError
from gfattach.net.proxy import Proxy

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


class Address(Struct, frozen=True):
    """An API server: whether TLS is spoken, host, port, and what stands before every path."""

    secure: bool
    host: str
    port: int
    path: str = ""


def server_address(cluster: Cluster) -> Address:
    """The address in the entry's `server`. One without a scheme is spoken to without TLS, as by kubectl.

    Raises ClusterError (cluster.kubeconfig.server).
    """
    text = cluster.server
    if not text:
        raise _server_error(cluster, "names no server")
    if text != text.strip():  # which is taken away where URLs are read
        raise _server_error(cluster, f"has the server {text!r}, which is no URL")
    try:
        parts = urlsplit(text)
        if not parts.scheme or not parts.netloc:
            parts = urlsplit(f"http://{text}")
            if parts.path not in ("", "/"):
                raise _server_error(cluster, f"has the server {text!r}, which is neither a URL nor host:port")
        port = parts.port
    except ValueError:
        raise _server_error(cluster, f"has the server {text!r}, which is no URL") from None
    if parts.scheme not in ("http", "https"):
        raise _server_error(
            cluster, f"has a server that is reached by {parts.scheme!r}, not by http or https"
        )
    if not parts.hostname or not _is_host(parts.hostname):
        raise _server_error(cluster, f"has the server {text!r}, which names no host")
    if port == 0 or "@" in parts.netloc:
        raise _server_error(cluster, "has a server with port 0, or with a user in its URL")
    if cluster.tls_server_name and not _is_host(cluster.tls_server_name):
        raise _server_error(cluster, f"has the tls-server-name {cluster.tls_server_name!r}, which is no name")
    straight = posixpath.normpath(f"/{parts.path}").lstrip("/")
    path = quote(f"/{straight}" if straight else "", safe="/%:@!$&'()*+,;=~")
    return Address(parts.scheme == "https", parts.hostname, port or _PORTS[parts.scheme], path)


def _server_error(cluster: Cluster, fact: str) -> ClusterError:
    return ClusterError(
        f"the cluster {cluster.name!r} in {cluster.origin} {fact}",
        f"set it: kubectl config set-cluster {shlex.quote(cluster.name)} --server=https://HOST:6443",
        code="cluster.kubeconfig.server",
    )


def _is_host(host: str) -> bool:
    """Whether a name can be looked up and put into a request: ASCII, no empty or endless label."""
    if _ip(host) is not None:
        return True
    labels = host.removesuffix(".").split(".")
    return host.isascii() and all(
        0 < len(label) < 64 and all(c.isalnum() or c in "-_" for c in label) for label in labels
    )


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def proxy_towards(cluster: Cluster, address: Address, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy towards `address`, None for none. Raises ClusterError (cluster.kubeconfig.proxy)."""
    if cluster.proxy_url:
        where = f"proxy-url of the cluster {cluster.name!r} in {cluster.origin}"
        return _proxy(cluster.proxy_url, where, ("http", "https", "socks5"))
    names = ("HTTPS_PROXY", "https_proxy") if address.secure else ("HTTP_PROXY", "http_proxy")
    name = next((name for name in names if environ.get(name)), None)
    if name is None or _goes_direct(address, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return None
    text = environ[name]
    return _proxy(text if "://" in text else f"http://{text}", name, ("http", "https", "socks5", "socks5h"))


def _proxy(text: str, where: str, schemes: tuple[str, ...]) -> Proxy:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    if parts.scheme not in schemes or not parts.hostname or not _is_host(parts.hostname) or port == 0:
        raise ClusterError(
            f"{where} is no address of an http, https or socks5 proxy",
            "write it as http://HOST:PORT",
            code="cluster.kubeconfig.proxy",
        )
    return Proxy(
        parts.scheme.removesuffix("h"),
        parts.hostname,
        port or _PORTS[parts.scheme],
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
    )


def _goes_direct(address: Address, no_proxy: str) -> bool:
    """Whether Go would pass over the proxy: for this machine, and for what NO_PROXY names."""
    ip = _ip(address.host)
    if address.host == "localhost" or (ip is not None and ip.is_loopback):
        return True
    for word in no_proxy.split(","):
        entry = word.strip().lower()
        if entry and (entry == "*" or _covers(entry, address, ip)):
            return True
    return False


def _covers(entry: str, address: Address, ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if "/" in entry:
        try:
            return ip is not None and ip in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    host, port = entry, ""
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        port = port.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    if port and port != str(address.port):
        return False
    if (named := _ip(host)) is not None:
        return named == ip
    host = host.removeprefix("*")
    name = address.host.rstrip(".")
    return name.endswith(host) if host.startswith(".") else name == host or name.endswith(f".{host}")
