"""Where an API server is, and which proxy leads there."""

from pathlib import Path

import pytest

from gfattach.cluster.kubeconfig.address import Address, proxy_towards, server_address
from gfattach.cluster.kubeconfig.entries import Cluster
from gfattach.core.errors import ClusterError
from gfattach.net.proxy import Proxy


def cluster(server="https://api.example:6443", proxy_url=""):
    return Cluster("c", Path("/k"), server, proxy_url=proxy_url)


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("https://api.example:6443", Address(True, "api.example", 6443)),
        ("https://api.example", Address(True, "api.example", 443)),
        ("http://api.example/", Address(False, "api.example", 80)),
        ("https://API.example:1/k8s/clusters/x/", Address(True, "api.example", 1, "/k8s/clusters/x")),
        ("https://[fd00::1]:6443", Address(True, "fd00::1", 6443)),
        ("https://10.0.0.1/?a=b#c", Address(True, "10.0.0.1", 443)),
        ("api.example:8080", Address(False, "api.example", 8080)),
        ("localhost", Address(False, "localhost", 80)),
        ("https://a/ä b%20c", Address(True, "a", 443, "/%C3%A4%20b%20c")),
    ],
)
def test_a_servers_address_with_the_ports_and_the_path_that_kubectl_takes(server, address):
    assert server_address(cluster(server)) == address


@pytest.mark.parametrize(
    "server",
    ["", "ftp://a", "https://", "https://a:99999", "https://a:b", "a:1/path", "https://a..b", "https://[::1",
     "https://ünï.example", "https://a:0", "https://u:secret@a", "https://a b", "https://a\r\nX: y"],
)  # fmt: skip
def test_a_server_that_is_none_is_refused_with_the_clusters_name(server):
    with pytest.raises(ClusterError) as caught:
        server_address(cluster(server))
    assert caught.value.code == "cluster.kubeconfig.server"
    assert "'c'" in caught.value.fact
    assert "secret" not in caught.value.fact


@pytest.mark.parametrize("name", ["a..b", "ü", "a b", "a\0b", "."])
def test_a_tls_server_name_that_no_certificate_could_have_is_refused(name):
    with pytest.raises(ClusterError) as caught:
        server_address(Cluster("c", Path("/k"), "https://a", name))
    assert caught.value.code == "cluster.kubeconfig.server"


AWAY = Address(True, "api.corp.example", 6443)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://p:3128", Proxy("http", "p", 3128)),
        ("http://p", Proxy("http", "p", 80)),
        ("https://p", Proxy("https", "p", 443)),
        ("socks5://p", Proxy("socks5", "p", 1080)),
        ("socks5://me:p%40ss@[::1]:1", Proxy("socks5", "::1", 1, "me", "p@ss")),
    ],
)
def test_the_proxy_of_a_kubeconfig_comes_before_the_environments(url, proxy):
    assert (
        proxy_towards(cluster(proxy_url=url), AWAY, {"HTTPS_PROXY": "http://other:1", "NO_PROXY": "*"})
        == proxy
    )


@pytest.mark.parametrize(
    "url", ["socks4://p", "p:1", "http://", "http://p:x", "socks5h://p", "http://me:secret@"]
)
def test_a_proxy_url_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(ClusterError) as caught:
        proxy_towards(cluster(proxy_url=url), AWAY, {})
    assert caught.value.code == "cluster.kubeconfig.proxy"
    assert "secret" not in f"{caught.value.fact} {caught.value.hints}"


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, "upper"),
        ({"https_proxy": "lower:3128"}, "lower"),
        ({"HTTP_PROXY": "http://plain:1", "ALL_PROXY": "http://all:1"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other, corp.example"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".corp.example"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "*.corp.example"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.corp.example:6443"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.corp.example:443"}, "p"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".api.corp.example"}, "p"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "orp.example"}, "p"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8,nonsense/x"}, "p"),
    ],
)
def test_the_proxy_of_the_environment_as_go_reads_it(environ, host):
    found = proxy_towards(cluster(), AWAY, environ)
    assert (None if found is None else found.host) == host


@pytest.mark.parametrize(
    ("host", "no_proxy", "direct"),
    [
        ("localhost", "", True),
        ("127.3.2.1", "", True),
        ("::1", "", True),
        ("10.1.2.3", "", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:6443", True),
        ("10.1.2.3", "10.1.2.3:1", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "fd00:0::1", True),
        ("fd00::1", "[fd00::1]:6443", True),
    ],
)
def test_which_addresses_are_reached_without_the_environments_proxy(host, no_proxy, direct):
    found = proxy_towards(
        cluster(), Address(True, host, 6443), {"HTTPS_PROXY": "http://p:1", "NO_PROXY": no_proxy}
    )
    assert (found is None) is direct


def test_a_server_without_tls_has_the_proxy_for_http():
    assert proxy_towards(cluster(), Address(False, "a", 80), {"http_proxy": "http://p:1"}) == Proxy(
        "http", "p", 1
    )
