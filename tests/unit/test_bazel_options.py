"""The options of a proof: always the same where it matters, fitted where Bazels differ."""

from pathlib import Path

import pytest

from gfattach.bazel.probe_workspace import ACTIONS, write_probe
from gfattach.bazel.program.binary import Bazel
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import BazelError, RefusedError, UsageError
from gfattach.proof.bazel.options import Access, ProofOptions, endpoint_options
from gfattach.proof.bazel.phases import BazelPhases, measure_target
from gfattach.reapi.target import CacheTarget, TlsFiles

BAZEL = Bazel(Path("/usr/bin/bazel"), "8.1.1")
WITHOUT_NATIVES = Bazel(Path("/usr/bin/bazel"), None, native_transport=False)
SOCKET = Path("/run/gfattach/cache.sock")


def target(url, **options):
    return CacheTarget(parse_endpoint(url), **options)


def chosen(access, accepted=None):
    everything = frozenset(ProofOptions.candidates())
    options = ProofOptions(everything if accepted is None else frozenset(accepted))
    return options.common(access, Path("/e"), Path("/l"))


@pytest.mark.parametrize("access", list(Access))
def test_no_leg_has_an_executor_a_disk_cache_or_a_short_timeout(access):
    options = chosen(access, accepted=())
    assert "--remote_executor=" in options and "--disk_cache=" in options and "--bes_backend=" in options
    timeout = next(option for option in options if option.startswith("--remote_timeout="))
    assert int(timeout.partition("=")[2]) >= 60


def test_only_a_leg_that_may_write_uploads():
    assert "--remote_upload_local_results" in chosen(Access.WRITE)
    for access in (Access.READ, Access.WITHHELD):
        assert "--noremote_upload_local_results" in chosen(access)
        assert "--remote_upload_local_results" not in chosen(access)


def test_only_a_leg_whose_endpoint_is_withheld_falls_back():
    assert "--remote_local_fallback" in chosen(Access.WITHHELD)
    assert "--noremote_local_fallback" in chosen(Access.READ)


@pytest.mark.parametrize(
    ("accepted", "flag"),
    [
        (["--remote_grpc_log=/dev/null", "--experimental_remote_grpc_log=/dev/null"], "--remote_grpc_log=/l"),
        (["--experimental_remote_grpc_log=/dev/null"], "--experimental_remote_grpc_log=/l"),
    ],
)
def test_the_log_of_calls_goes_by_the_name_that_this_bazel_knows(accepted, flag):
    assert flag in chosen(Access.READ, accepted)
    assert not any("grpc_log" in option for option in chosen(Access.READ, ()))


@pytest.mark.parametrize(
    ("url", "options", "given"),
    [
        ("grpc://127.0.0.1:9", {"socket": SOCKET},
         ["--remote_cache=grpc://127.0.0.1:9", f"--remote_proxy=unix:{SOCKET}"]),
        ("grpcs://cache.example", {"socket": SOCKET},
         ["--remote_cache=grpcs://cache.example:443", f"--remote_proxy=unix:{SOCKET}"]),
        ("grpc://cache.example:80", {"socket": SOCKET}, [f"--remote_proxy=unix:{SOCKET}"]),
        ("grpc://cache.example:80", {}, ["--remote_cache=grpc://cache.example:80", "--remote_proxy="]),
        ("http://127.0.0.1:8080/cache", {}, ["--remote_cache=http://127.0.0.1:8080/cache"]),
        ("grpc://127.0.0.1:1", {"instance_name": "main"}, ["--remote_instance_name=main"]),
        ("grpcs://cache.example", {"tls": TlsFiles(Path("/ca"), Path("/crt"), Path("/key"))},
         ["--tls_certificate=/ca", "--tls_client_certificate=/crt", "--tls_client_key=/key"]),
    ],
)  # fmt: skip
def test_how_bazel_is_pointed_at_an_endpoint(url, options, given):
    line = endpoint_options(target(url, **options), BAZEL)
    assert set(given) <= set(line)


def test_an_http_cache_gets_no_empty_proxy():
    """Bazel 4.2.3 takes an empty one for a proxy that it does not support, and crashes."""
    line = endpoint_options(target("http://127.0.0.1:8080"), BAZEL)
    assert not any(option.startswith("--remote_proxy") for option in line)


def test_headers_never_reach_the_command_line():
    line = endpoint_options(target("grpc://127.0.0.1:1", headers=(("authorization", "hush"),)), BAZEL)
    assert "hush" not in " ".join(line)


@pytest.mark.parametrize(
    ("url", "socket"), [("grpcs://cache.example", None), ("grpc://cache.example:80", SOCKET)]
)
def test_a_bazel_without_natives_is_not_sent_into_its_crash(url, socket):
    with pytest.raises(BazelError) as caught:
        endpoint_options(target(url, socket=socket), WITHOUT_NATIVES)
    assert caught.value.code == "bazel.transport"
    assert endpoint_options(target("grpc://127.0.0.1:80", socket=SOCKET), WITHOUT_NATIVES)


def test_a_fill_is_refused_where_nothing_may_be_stored(tmp_path):
    from gfattach.core.deadline import Deadline

    with (
        BazelPhases(BAZEL, target("grpc://127.0.0.1:1"), tmp_path) as phases,
        pytest.raises(RefusedError) as caught,
    ):
        phases.fill(Deadline.after(1))
    assert "grpc://127.0.0.1:1" in caught.value.fact


def test_a_measurement_without_a_target_is_a_mistake(tmp_path):
    from gfattach.core.deadline import Deadline

    with pytest.raises(UsageError):
        measure_target(
            BAZEL,
            tmp_path,
            [],
            [],
            target("grpc://h:1"),
            work=tmp_path / "w",
            deadline=Deadline.after(1),
            environ={},
        )


def test_the_probe_is_the_same_wherever_it_is_written(tmp_path):
    def content(directory):
        return {path.name: path.read_bytes() for path in directory.iterdir()}

    one = content(write_probe(tmp_path / "one").directory)
    assert one == content(write_probe(tmp_path / "deep" / "er" / "two").directory)
    assert str(tmp_path).encode() not in b"".join(one.values())
    assert f"actions = {ACTIONS}".encode() in one["BUILD.bazel"]
    assert {"WORKSPACE", "MODULE.bazel"} <= one.keys()


def test_a_nonce_changes_the_input_and_nothing_else(tmp_path):
    plain, fresh = write_probe(tmp_path / "a").directory, write_probe(tmp_path / "b", "f00").directory
    differing = [p.name for p in plain.iterdir() if p.read_bytes() != (fresh / p.name).read_bytes()]
    assert differing == ["input.txt"]
    with pytest.raises(UsageError):
        write_probe(tmp_path / "c", "a\nb")
