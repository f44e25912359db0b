"""Discovery: which Service is taken for which cache, and why; what is passed over; when nothing is."""

import pytest
from msgspec.structs import replace

from gfattach.cluster.api.objects import Service, ServicePort
from gfattach.core.errors import UsageError
from gfattach.site.discover import discover, nothing_found, protocol_of, select_endpoint

PORTS = {"grpc": 9092, "http": 8080}
BAZEL = {"app.kubernetes.io/name": "bazel-cache", "app.kubernetes.io/component": "build-cache"}


def service(
    name, namespace="nix-cache", *, ports=PORTS, labels=(), kind="ClusterIP", headless=False, selects=True
):
    return Service(
        namespace,
        name,
        kind,
        headless,
        {"app": name} if selects else {},
        tuple(ServicePort(port, number, number) for port, number in ports.items()),
        dict(labels),
        "elsewhere.example" if kind == "ExternalName" else "",
    )


@pytest.mark.parametrize(
    ("port", "heard", "protocol"),
    [
        # appProtocol before what was heard, that before the name
        (ServicePort("http2", 9092, 9092), "", "grpc"),
        (ServicePort("http2-cache", 9092, 9092), "", "grpc"),
        (ServicePort("cache", 8080, 8080, "grpc"), "HTTP/1.1", "grpc"),
        (ServicePort("http", 8080, 8080, "kubernetes.io/h2c"), "", "grpc"),
        (ServicePort("http", 8080, 8080, "GRPC"), "", "grpc"),
        (ServicePort("grpc", 9092, 9092, "http"), "HTTP/2", "http"),
        (ServicePort("http", 8080, 8080), "HTTP/2", "grpc"),
        (ServicePort("grpc", 9092, 9092), "HTTP/1.1", "http"),
        (ServicePort("", 80, 80), "HTTP/2", "grpc"),
        (ServicePort("http", 8080, 8080, "example.com/own"), "", "http"),
        (ServicePort("http", 8080, 8080), "TLS", "http"),
        (ServicePort("", 8080, 8080), "", "http"),
        (ServicePort("cache", 9092, 9092), "", "grpc"),
        (ServicePort("grpc-web", 9092, 9092), "", "http"),
        (ServicePort("https", 443, 443), "", "http"),
    ],
)
def test_what_a_port_of_a_bazel_cache_speaks(port, heard, protocol):
    assert protocol_of("cache", port, heard) == protocol
    assert protocol_of("nix", port, heard) == "http"


def test_a_port_that_says_that_it_is_grpc_goes_before_one_of_the_name():
    ports = (ServicePort("http", 8080, 8080), ServicePort("store", 7000, 7000, "grpc"))
    chosen = select_endpoint("cache", replace(service("bazel-cache"), ports=ports), None)
    assert (str(chosen.service), chosen.protocol) == ("nix-cache/bazel-cache:store", "grpc")


@pytest.mark.parametrize("name", ["http2", "http2-cache", "grpc-cache", "h2c"])
def test_a_port_is_found_by_a_name_that_begins_with_its_protocol(name):
    found = discover("cache", [service("bazel-cache", ports={"http": 8080, name: 7000}, labels=BAZEL)])
    assert (str(found.chosen.service), found.chosen.protocol) == (f"nix-cache/bazel-cache:{name}", "grpc")


@pytest.mark.parametrize("name", ["grpc-web", "http2x", "http-metrics", "grpcx"])
def test_a_name_that_only_resembles_one_goes_after_http(name):
    found = discover("cache", [service("bazel-cache", ports={name: 7000, "http": 8080}, labels=BAZEL)])
    assert (str(found.chosen.service), found.chosen.protocol) == ("nix-cache/bazel-cache:http", "http")


ATTIC = service("attic", ports={"http": 80})
EXECUTOR = service("gf-reapi-cell", "gf-rbe", ports={"grpc": 8980})


def test_the_documented_cluster_gives_both_caches_with_the_reason_in_words():
    services = [ATTIC, EXECUTOR, service("bazel-cache", labels=BAZEL)]
    cache, nix = discover("cache", services).chosen, discover("nix", services).chosen
    assert str(cache) == (
        "Service bazel-cache in nix-cache, by its label app.kubernetes.io/name=bazel-cache; port grpc 9092"
    )
    assert (str(cache.service), cache.protocol) == ("nix-cache/bazel-cache:grpc", "grpc")
    assert str(nix) == "Service attic in nix-cache, by its name; port http 80"
    assert (str(nix.service), nix.protocol) == ("nix-cache/attic:http", "http")


def test_a_label_goes_before_a_name_before_a_port():
    labelled, named, ported = service("store", labels=BAZEL), service("bazel-cache"), service("other")
    found = discover("cache", [ported, named, labelled])
    assert found.chosen.service.name == "store"
    assert [str(rejected) for rejected in found.rejected] == [
        "nix-cache/other:grpc: fits less: by its port; port grpc 9092",
        "nix-cache/bazel-cache:grpc: fits less: by its name; port grpc 9092",
    ]
    assert discover("cache", [ported, named]).chosen.service.name == "bazel-cache"
    assert "by its port" in discover("cache", [ported]).chosen.why


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        (service("bazel-cache", "attic-cache-dev"), "attic-cache-dev is a retired service"),
        (service("bazel-cache", "attic-cache"), "is that of older documents; name it if it is meant"),
        (service("bazel-cache", kind="ExternalName"), "an alias of elsewhere.example"),
        (service("bazel-cache", selects=False), "it selects no pods"),
        (
            service("bazel-cache", ports={"metrics": 9090}),
            "none of its ports is grpc, 9092 or http; it has metrics",
        ),
        (service("bazel-cache", ports={}), "it has none"),
        (service("gf-reapi-cell", labels=BAZEL, ports={"grpc": 8980}), "a remote executor"),
        (service("bazel-cache", ports={"grpc": 9092, "exec": 8980}), "a remote executor"),
    ],
)
def test_what_looks_like_a_cache_and_is_none_is_passed_over_with_the_reason(candidate, says):
    found = discover("cache", [candidate])
    assert found.chosen is None and says in found.rejected[0].why
    error = nothing_found("cache", found, "nix-cache")
    assert error.fact == "no Service in nix-cache is known as a Bazel cache"
    assert any(says in hint for hint in error.hints)
    assert "name it: --cache-service NAMESPACE/NAME:PORT" in error.hints


def test_an_executor_is_never_a_candidate_and_neither_is_what_has_nothing_to_do_with_caches():
    found = discover("cache", [EXECUTOR, service("web", ports={"http": 80}), ATTIC])
    assert (found.chosen, found.rejected) == (None, ())


def test_a_headless_twin_does_not_make_a_choice_ambiguous():
    twin = service("bazel-cache-headless", labels=BAZEL, headless=True)
    assert (
        discover("cache", [twin, service("bazel-cache", labels=BAZEL)]).chosen.service.name == "bazel-cache"
    )


@pytest.mark.parametrize(
    "alone",
    [
        service("bazel-cache", headless=True),
        service("cache-pods", labels=BAZEL, headless=True),
        service("anything", ports={"grpc": 9092}, headless=True),
    ],
    ids=["by its name", "by its label", "by its port"],
)
def test_a_headless_service_alone_is_taken(alone):
    found = discover("cache", [alone, EXECUTOR])
    assert found.chosen.service.name == alone.name


def test_of_two_that_fit_alike_the_one_in_the_sites_own_namespace_is_taken():
    there, here = service("bazel-cache", "team"), service("bazel-cache")
    found = discover("cache", [there, here])
    assert found.chosen.service.namespace == "nix-cache"
    assert (
        str(found.rejected[0]) == "team/bazel-cache:grpc: fits as well, in another namespace than nix-cache"
    )
    assert discover("cache", [there, here], "team").chosen.service.namespace == "team"


def test_between_two_that_fit_alike_nothing_is_guessed():
    services = [service("a", labels=BAZEL), service("b", labels=BAZEL)]
    with pytest.raises(UsageError) as caught:
        discover("cache", services)
    assert caught.value.code == "site.service.ambiguous"
    assert caught.value.fact == "2 Services may be the Bazel cache, and nothing tells which is meant"
    assert caught.value.hints[0].startswith("choose: --cache-service nix-cache/a:grpc ")
    with pytest.raises(UsageError, match="may be the Nix cache"):
        discover("nix", [service("attic", name, ports={"http": 80}) for name in ("a", "b")])


def test_a_bazel_cache_with_http_alone_is_spoken_to_in_http():
    chosen = discover("cache", [service("bazel-cache", ports={"http": 8080})]).chosen
    assert (str(chosen.service), chosen.protocol) == ("nix-cache/bazel-cache:http", "http")
    assert discover("cache", [service("bazel-cache", ports={"": 8080})]).chosen.protocol == "http"
    chosen = discover("cache", [service("bazel-cache", ports={"": 9092})]).chosen
    assert (str(chosen.service), chosen.protocol) == ("nix-cache/bazel-cache:9092", "grpc")


def test_a_named_service_is_taken_as_it_is_named():
    odd = service("odd", ports={"front": 7000, "http": 81})
    assert select_endpoint("cache", odd, "7000").protocol == "grpc"
    assert (
        str(select_endpoint("cache", odd, "http"))
        == "Service odd in nix-cache, as the site says; port http 81"
    )
    with pytest.raises(UsageError, match="it has no port grpc; it has front 7000, http 81") as caught:
        select_endpoint("cache", odd, "grpc")
    assert caught.value.hints == ("name the port: --cache-service nix-cache/odd:PORT",)
    with pytest.raises(UsageError, match="none of its ports is http, 80 or 8080"):
        select_endpoint("nix", service("odd", ports={"front": 7000}), None)
