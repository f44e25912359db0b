"""Proxies of the environment, as curl reads them, and this machine, which needs none."""

import pytest

from gfattach.net.proxy_environment import proxy_for, proxy_of

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("scheme", "environ", "proxy"),
    [
        ("http", {}, None),
        ("http", {"http_proxy": PROXY}, PROXY),
        ("http", {"HTTP_PROXY": PROXY}, None),
        ("http", {"https_proxy": PROXY}, None),
        ("https", {"https_proxy": PROXY}, PROXY),
        ("https", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https", {"HTTPS_PROXY": "http://upper", "https_proxy": "http://lower"}, "http://lower"),
        ("http", {"ALL_PROXY": PROXY}, PROXY),
        ("http", {"http_proxy": "proxy.example:3128"}, PROXY),
        ("http", {"http_proxy": ""}, None),
        ("http", {"http_proxy": "", "all_proxy": PROXY}, None),
    ],
)
def test_which_variable_counts(scheme, environ, proxy):
    assert proxy_of(scheme, "cache.example", environ) == proxy


@pytest.mark.parametrize(
    ("host", "exceptions", "excepted"),
    [
        ("cache.example", "cache.example", True),
        ("Cache.Example.", "cache.example", True),
        ("main.cache.example", ".cache.example", True),
        ("main.cache.example", "other,cache.example", True),
        ("mycache.example", "cache.example", False),
        ("cache.example", "*", True),
        ("cache.example", "", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("cache.example", "10.0.0.0/8", False),
        ("10.1.2.3", "nonsense/99", False),
        ("fd00::1", "[fd00::1]", True),
    ],
)
def test_what_no_proxy_excepts(host, exceptions, excepted):
    environ = {"http_proxy": PROXY, "no_proxy": exceptions}
    assert (proxy_of("http", host, environ) is None) == excepted


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9", "cache.localhost"])
def test_this_machine_is_asked_directly_though_nix_would_not(host):
    """A proxy's own 127.0.0.1 is another machine, so a forward is not for a proxy to reach."""
    assert proxy_of("http", host, {"http_proxy": PROXY}) == PROXY
    assert proxy_for("http", host, {"http_proxy": PROXY}) is None
    assert proxy_for("http", "cache.example", {"http_proxy": PROXY}) == PROXY
