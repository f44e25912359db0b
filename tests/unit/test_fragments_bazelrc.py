"""The Bazel fragment: what it always says, what it says on condition, and what it never says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gfattach.bazel.rc.grammar import words
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import UsageError
from gfattach.fragments.bazelrc import CANDIDATE_FLAGS, UNIVERSAL_FLAGS, accepted_names, render
from gfattach.reapi.target import CacheTarget, TlsFiles

PLAIN = CacheTarget(parse_endpoint("grpc://127.0.0.1:9092"), socket=Path("/run/s"))
TLS = CacheTarget(
    parse_endpoint("grpcs://cache.example"),
    instance_name="main",
    tls=TlsFiles(Path("/ca.pem"), Path("/crt.pem"), Path("/key.pem")),
    socket=Path("/run/user/0/a b/s"),
)
ALL = frozenset(CANDIDATE_FLAGS)


def lines(text, command="build"):
    """The flags that the fragment sets for `command`."""
    read = [words(line) for line in text.splitlines()]
    return [line[1] for line in read if line and line[0] == command]


def test_what_every_fragment_says():
    for text in (render(PLAIN, None), render(PLAIN, ALL), render(TLS, ALL, on_cache_down="fail")):
        flags = lines(text)
        assert flags.count("--remote_executor=") == 1
        assert flags.count("--noremote_upload_local_results") == 1
        assert "--experimental_build_event_upload_strategy=local" in flags
        assert not any(flag.startswith("--remote_upload") for flag in flags)


def test_a_plain_endpoint_keeps_its_name_and_is_reached_through_the_socket_where_one_is_given():
    by_socket, by_port = lines(render(PLAIN, ALL)), lines(render(replace(PLAIN, socket=None), ALL))
    assert (
        "--remote_cache=grpc://127.0.0.1:9092" in by_socket
        and by_socket.count("--remote_proxy=unix:/run/s") == 1
    )
    assert "--remote_cache=grpc://127.0.0.1:9092" in by_port
    assert not any("proxy" in flag for flag in by_port) and not any("tls" in flag for flag in by_socket)


def test_a_tls_endpoint_keeps_its_name_and_is_reached_through_the_socket():
    flags = lines(render(TLS, ALL))
    assert {
        "--remote_cache=grpcs://cache.example:443",
        "--remote_proxy=unix:/run/user/0/a b/s",
        "--remote_instance_name=main",
        "--tls_certificate=/ca.pem",
        "--tls_client_certificate=/crt.pem",
        "--tls_client_key=/key.pem",
    } <= set(flags)


def test_a_cache_that_is_away_leads_to_a_local_build_or_to_a_failure():
    local, fail = lines(render(PLAIN, ALL)), lines(render(PLAIN, ALL, on_cache_down="fail"))
    fallback = "--incompatible_remote_local_fallback_for_remote_cache"
    assert "--remote_local_fallback" in local and fallback in local
    assert "--noremote_local_fallback" in fail and fallback not in fail
    assert "--remote_local_fallback" not in fail and "--noremote_local_fallback" not in local
    assert fallback not in lines(render(PLAIN, UNIVERSAL_FLAGS))


@pytest.mark.parametrize("command", ["info", "clean", "cquery", "aquery"])
def test_commands_that_build_nothing_do_without_the_cache(command):
    assert lines(render(PLAIN, None), command) == ["--remote_cache="]


def test_no_line_speaks_to_commands_that_lack_these_options():
    commands = {words(line)[0] for line in render(TLS, ALL).splitlines() if words(line)}
    assert commands == {"build", "test", "run", "coverage", "info", "clean", "cquery", "aquery"}


def test_the_timeout_leaves_room_for_large_transfers():
    [timeout] = [flag for flag in lines(render(PLAIN, None)) if flag.startswith("--remote_timeout=")]
    assert int(timeout.partition("=")[2]) >= 60


def test_a_lane_that_may_write_gets_a_fragment_that_reads_all_the_same():
    writable = replace(PLAIN, may_write=True)
    assert render(writable, ALL) == render(PLAIN, ALL)


@pytest.mark.parametrize(
    ("accepts", "expected"),
    [
        (ALL, ["--remote_cache_compression"]),
        (ALL - {"remote_cache_compression"}, ["--experimental_remote_cache_compression"]),
        (UNIVERSAL_FLAGS, []),
        (None, []),
    ],
)
def test_compression_needs_the_server_and_the_bazel(accepts, expected):
    def compression(**options):
        return [flag for flag in lines(render(PLAIN, accepts, **options)) if "compression" in flag]

    assert compression(zstd=True) == expected
    assert compression() == []


@pytest.mark.parametrize(
    ("accepts", "expected"),
    [
        (ALL, ["--credential_helper=cache.example=/opt/my helper"]),
        (ALL - {"credential_helper"}, ["--experimental_credential_helper=cache.example=/opt/my helper"]),
        (ALL - {"credential_helper", "experimental_credential_helper"}, []),
    ],
)
def test_a_credential_helper_is_asked_for_this_host_alone(accepts, expected):
    text = render(TLS, accepts, credential_helper=Path("/opt/my helper"))
    assert [flag for flag in lines(text) if "helper" in flag] == expected


def test_a_helper_for_an_address_that_bazel_cannot_scope_is_refused():
    target = CacheTarget(parse_endpoint("grpcs://[2001:db8::1]:443"))
    with pytest.raises(UsageError, match="scoped"):
        render(target, ALL, credential_helper=Path("/helper"))


@pytest.mark.parametrize("missing", ["remote_proxy", "tls_client_certificate", "remote_upload_local_results"])
def test_a_bazel_without_a_flag_that_is_needed_gets_no_fragment(missing):
    with pytest.raises(UsageError, match=f"--{missing}"):
        render(TLS, ALL - {missing})
    assert f"--{missing}=" in render(TLS, None) or f"--no{missing}" in render(TLS, None)


def test_what_is_not_needed_may_be_missing():
    text = render(PLAIN, frozenset({"remote_cache", "remote_executor", "remote_upload_local_results"}))
    assert "--remote_cache=grpc://127.0.0.1:9092" in lines(text) and "proxy" not in "".join(lines(text))


def test_an_http_cache_gets_no_flag_of_grpcs():
    target = CacheTarget(parse_endpoint("http://127.0.0.1:8080/ac"), instance_name="main")
    text = render(target, ALL, zstd=True)
    assert "--remote_cache=http://127.0.0.1:8080/ac" in lines(text)
    assert not any(word in text for word in ("keepalive", "instance_name", "compression"))


@given(st.text(min_size=8, alphabet=st.characters(min_codepoint=33, max_codepoint=126)))
def test_a_header_is_never_written(secret):
    secret = f"s3cret-{secret}"
    target = CacheTarget(PLAIN.endpoint, headers=(("authorization", secret),))
    text = render(target, ALL, zstd=True)
    assert secret not in text and "header" not in text


def test_a_path_with_a_line_break_is_refused():
    with pytest.raises(UsageError):
        render(CacheTarget(TLS.endpoint, socket=Path("/run/a\nbuild --remote_executor=x")), ALL)


@given(st.sets(st.sampled_from(sorted(ALL))), st.booleans(), st.sampled_from(["local", "fail"]))
def test_only_flags_that_the_bazel_knows_are_written(names, zstd, on_cache_down):
    accepts = names | {"remote_cache", "remote_executor", "remote_upload_local_results"}
    text = render(PLAIN, accepts, zstd=zstd, on_cache_down=on_cache_down)
    written = {flag.removeprefix("--").partition("=")[0] for flag in lines(text)}
    assert {name.removeprefix("no") for name in written} <= accepts


def test_lines_for_commands_that_outrank_build_lines_are_said_for_them_too():
    """A project's `test --remote_executor=…` is behind every `build` line, wherever either stands."""
    said = {}
    for line in render(PLAIN, ALL).splitlines():
        if found := words(line):
            said.setdefault(found[0], set()).update(found[1:])
    essential = {
        "--remote_cache=" + PLAIN.endpoint.url,
        "--remote_executor=",
        "--remote_instance_name=",
        "--noremote_upload_local_results",
        "--experimental_build_event_upload_strategy=local",
        "--remote_download_outputs=all",
    }
    for command in ("build", "test", "run", "coverage"):
        assert essential <= said[command], command
    for command in ("info", "clean", "cquery", "aquery"):
        assert said[command] == {"--remote_cache=", "--experimental_remote_downloader="}


def test_a_build_that_goes_on_without_the_cache_does_not_ask_for_each_action_again():
    assert "--remote_retries=0" in lines(render(PLAIN, ALL, on_cache_down="local"))
    assert "--remote_retries=2" in lines(render(PLAIN, ALL, on_cache_down="fail"))


def test_a_comment_goes_with_what_it_explains():
    text = render(PLAIN, UNIVERSAL_FLAGS)
    assert "keyring" not in text and "zstd" not in text and "${" not in text
    assert "\n\n\n" not in text and text.endswith("\n")


def test_accepted_texts_lead_back_to_names():
    assert accepted_names(CANDIDATE_FLAGS.values()) == ALL
    assert accepted_names(["--noremote_upload_local_results", "--something_else"]) == {
        "remote_upload_local_results"
    }
    assert UNIVERSAL_FLAGS <= ALL
