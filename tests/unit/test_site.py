"""The site: which source wins, and what a bad file says."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.cli.options import _CLUSTER, _SERVICES, _SITE, service_settings
from gfattach.cli.up.command import up
from gfattach.cluster.connection import ClusterRef
from gfattach.core.errors import StorageError, UsageError
from gfattach.site.allow import allow
from gfattach.site.load import load_site, read_site_file
from gfattach.site.settings import BY_KEY, SETTINGS

KEY = "main:" + "A" * 43 + "="
CERTIFICATE = (Path(__file__).parent / "data/site-ca.pem").read_text()


@pytest.fixture(autouse=True)
def no_user_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_with_nothing_said_only_the_defaults_stand():
    site = load_site({}, {}, None)
    assert site.get("cache.endpoint") is None
    assert (site.get("cache.upload"), site.source("cache.upload")) == ("never", "the default")
    assert site.cache_target() is None and site.substituter_target() is None


def test_options_come_before_the_environment_before_the_workspace_before_the_user(tmp_path):
    workspace = tmp_path / "w"
    file = write(workspace / "gfattach.toml", '[cache]\nendpoint = "grpc://workspace:1"\ninstance = "w"\n')
    user = write(tmp_path / "config/gfattach/gfattach.toml", '[cache]\ninstance = "u"\nupload = "trusted"\n')
    environment = {"BAZEL_REMOTE_CACHE": "grpc://environment:1"}

    allow(workspace)
    site = load_site({"cache.endpoint": "grpc://option:1"}, environment, workspace)
    assert (site.get("cache.endpoint").host, site.source("cache.endpoint")) == ("option", "an option")
    site = load_site({"cache.endpoint": None}, environment, workspace)
    assert site.source("cache.endpoint") == "the variable BAZEL_REMOTE_CACHE"
    site = load_site({}, {}, workspace)
    assert (site.get("cache.endpoint").host, site.source("cache.endpoint")) == ("workspace", str(file))
    assert (site.get("cache.instance"), site.source("cache.instance")) == ("w", str(file))
    assert (site.get("cache.upload"), site.source("cache.upload")) == ("trusted", str(user))


def test_attic_variables_name_the_substituter():
    environment = {"ATTIC_SERVER": "https://nix-cache.example/", "ATTIC_PUBLIC_KEY": KEY}
    target = load_site({}, environment, None).substituter_target()
    assert target.endpoint.url == "https://nix-cache.example:443/main"
    assert target.public_keys == (KEY,)


def test_what_the_store_below_promises_goes_along_to_the_probes():
    site = {"nix.substituter": "https://h/main", "nix.object_store": "interim_only"}
    assert load_site(site, {}, None).substituter_target().object_store == "interim_only"
    del site["nix.object_store"]
    assert load_site(site, {}, None).substituter_target().object_store is None


def test_writing_needs_both_the_site_and_the_option():
    def may_write(policy, upload):
        site = load_site({"cache.endpoint": "grpc://h:1", "cache.upload": policy}, {}, None)
        return site.cache_target(upload=upload).may_write

    assert [may_write(p, u) for p in ("never", "trusted") for u in (False, True)] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[cache", "is not TOML"),
        ("endpoint = 'grpc://h:1'", "endpoint stands outside of any table"),
        ("[cache]\nendpiont = 'grpc://h:1'", "there is no setting cache.endpiont"),
        ("[cash]\nendpoint = 1", "there is no setting cash.endpoint"),
        ("[cache]\nendpoint = 7", "is a text, not a number"),
        ("[cache]\nendpoint = 'grpc://u:hunter2@h:1'", "holds a user or password"),
        ("[cache]\nupload = 'always'", "cache.upload"),
        ("[cache]\nca_file = 'ca.pem'", "relative path"),
        ("[nix]\npublic_keys = ['main:short']", "no public key"),
        ("[nix]\nsubstituter = 'grpc://h:1'", "http://, https://"),
        ("[nix]\nsigned_path = '/nix/store/x'", "no store path"),
        ("[nix]\nobject_store = 'forever'", "nix.object_store"),
        ("[nix]\ncache = '../main'", "no path of a binary cache"),
        ("[cache]\nservice = 'Bazel_Cache'", "no name of a Service"),
        ("[cache]\nservice_port = 70000", "no port"),
        ("[cache]\nservice_port = 'much-too-long-a-name'", "no port"),
        ("[cache]\nservice_port = true", "is a text, not a truth value"),
        ("[cluster]\nnamespace = 'a/b'", "no namespace"),
        ("[cluster]\nprofile = '../x'", "no name of a ConfigMap"),
        ("[cache]\nca_data = 'hello'", "holds no certificate"),
        ("[site]\nname = 'a\\tb'\n[cache]\nca_file = '/x'\nca_data = 'y'", "cache.ca_data"),
        ('[site]\nname = "\\u001b[2J"', "control character"),
        (
            "[nix]\nsubstituter = 'https://attic-cache-dev.example/main'",
            "attic-cache-dev, a retired service",
        ),
        ("[nix]\nnamespace = 'attic-cache-dev'", "attic-cache-dev, a retired service"),
        ('[site]\nname = "\x00"', "is not TOML"),
    ],
)
def test_a_bad_file_is_a_usage_error_that_names_the_file_and_the_fault(tmp_path, text, says):
    file = write(tmp_path / "gfattach.toml", text)
    with pytest.raises(UsageError) as caught:
        load_site({}, {}, tmp_path)
    assert says in caught.value.fact and str(file) in caught.value.fact
    assert "hunter2" not in caught.value.fact
    assert file.read_text() == text


def test_a_file_that_is_no_text_or_endless_or_unreadable_is_a_usage_error(tmp_path):
    file = tmp_path / "gfattach.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not TOML"):
        read_site_file(file)
    file.write_bytes(b"#" * 300_000)
    with pytest.raises(UsageError, match="300000 bytes"):
        read_site_file(file)
    file.unlink()
    file.mkdir()
    with pytest.raises(StorageError, match="is a directory"):
        read_site_file(file)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[nix]\npublic_keys = ['main:%s==']" % ("S3cr" * 21 + "S3"), "a Nix signing key"),
        ("[site]\nname = '''-----BEGIN RSA PRIVATE KEY-----\nS3cr'''", "a private key"),
        (
            "[cache]\nca_data = '''-----BEGIN PRIVATE KEY-----\nS3cr\n-----END PRIVATE KEY-----'''",
            "a private key",
        ),
        ("[cache]\ninstance = 'eyJhbGciOiJIUzI1NiJ9.S3crS3crS3cr.S3cr'", "a token (JWT)"),
        ("[cache]\ninstance = 'Bearer S3crS3crS3cr'", "an authorization header"),
        ("[site]\nname = 'ghp_S3crS3crS3crS3crS3crS3cr'", "a GitHub token"),
        ("[cache]\nendpoint = 'grpcs://x:S3cr@h'", "a user or password"),
        ("[cache]\ntoken = 'S3cr'", "called like a secret"),
        ("[nix]\nnetrc_password = 'S3cr'", "called like a secret"),
    ],
)
def test_a_secret_is_refused_by_its_shape_and_never_shown(tmp_path, text, what):
    write(tmp_path / "gfattach.toml", text)
    with pytest.raises(UsageError) as caught:
        load_site({}, {}, tmp_path)
    assert what in caught.value.fact
    assert "S3cr" not in caught.value.fact + " ".join(caught.value.hints)


def test_a_setting_that_is_nearly_right_is_named(tmp_path):
    file = write(tmp_path / "gfattach.toml", "[cache]\nendpiont = 'grpc://h:1'")
    with pytest.raises(UsageError) as caught:
        read_site_file(file)
    assert caught.value.hints[0] == "it may be meant for cache.endpoint"


PROFILE = (
    "the ConfigMap nix-cache/gfattach-site",
    {"cache.service": "bazel-cache", "cache.service_port": "grpc"},
)


def test_the_profile_comes_behind_the_user_and_before_the_defaults(tmp_path):
    write(tmp_path / "config/gfattach/gfattach.toml", '[nix]\ncache = "mine"\nservice = "attic"\n')
    profile = (
        PROFILE[0],
        {**PROFILE[1], "nix.cache": "theirs", "nix.service": "attic", "cache.upload": "trusted"},
    )
    site = load_site({}, {}, tmp_path, profile)
    assert (site.get("nix.cache"), site.source("nix.cache")) == (
        "mine",
        str(tmp_path / "config/gfattach/gfattach.toml"),
    )
    assert (site.get("cache.service"), site.source("cache.service")) == ("bazel-cache", PROFILE[0])
    assert site.get("cache.upload") == "trusted"
    assert str(site.service("cache")) == "nix-cache/bazel-cache:grpc"


def test_who_names_an_endpoint_is_not_sent_through_a_service_that_a_weaker_source_names(tmp_path):
    site = load_site({"cache.endpoint": "grpc://mine:1"}, {}, None, PROFILE)
    assert site.cache_target().endpoint.host == "mine"
    assert site.service("cache") is None and site.get("cache.service_port") is None
    site = load_site({"cache.service": "other", "cache.namespace": "else"}, {}, None, PROFILE)
    assert str(site.service("cache")) == "else/other"
    both = (PROFILE[0], {**PROFILE[1], "cache.endpoint": "grpcs://cache.example"})
    site = load_site({}, {}, None, both)
    assert (site.cache_target().endpoint.host, str(site.service("cache"))) == (
        "cache.example",
        "nix-cache/bazel-cache:grpc",
    )
    assert load_site({"cache.service": "mine"}, {}, None, both).cache_target() is None


def test_an_authority_is_decided_by_one_source_and_becomes_a_private_file(tmp_path):
    profile = (PROFILE[0], {"cache.ca_data": CERTIFICATE, "nix.ca_data": f"\n{CERTIFICATE}\n{CERTIFICATE}"})
    site = load_site({"nix.ca_file": "/mine.pem", "cache.endpoint": "grpcs://h"}, {}, None, profile)
    assert site.get("nix.ca_data") is None
    filed = site.with_authorities(tmp_path)
    path = filed.cache_target().tls.ca_file
    assert path == tmp_path / "cache-ca.pem" and path.read_text() == CERTIFICATE
    assert path.stat().st_mode & 0o777 == 0o600
    assert filed.source("cache.ca_file") == PROFILE[0]
    write(tmp_path / "gfattach.toml", f"[nix]\nca_file = '/x'\nca_data = '''{CERTIFICATE}'''")
    with pytest.raises(UsageError, match="are both said"):
        load_site({}, {}, tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda pem: pem + "subject=CN = x\n", "something besides certificates"),
        (lambda pem: pem.replace("MII", "MIX"), "a certificate that cannot be read"),
        (lambda pem: pem.replace("CERTIFICATE", "PUBLIC KEY"), "holds no certificate"),
    ],
)
def test_an_authority_is_certificates_and_nothing_else(change, says):
    with pytest.raises(UsageError, match=says):
        load_site({"cache.ca_data": change(CERTIFICATE)}, {}, None)


def test_the_cluster_that_a_site_names_is_a_reference_to_it(tmp_path):
    assert load_site({}, {}, None).cluster == ClusterRef(None, None, "nix-cache")
    write(
        tmp_path / "gfattach.toml", "[cluster]\nkubeconfig = '~/k'\ncontext = 'lab'\nnamespace = 'caches'\n"
    )
    allow(tmp_path)
    assert load_site({}, {}, tmp_path).cluster == ClusterRef((tmp_path / "k",), "lab", "caches")
    assert load_site({"cache.service": "x"}, {}, tmp_path).service("cache").namespace == "caches"


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ("bazel-cache", {"cache.service": "bazel-cache"}),
        ("caches/bazel-cache", {"cache.service": "bazel-cache", "cache.namespace": "caches"}),
        (
            "caches/bazel-cache:9092",
            {"cache.service": "bazel-cache", "cache.namespace": "caches", "cache.service_port": "9092"},
        ),
    ],
)
def test_an_option_names_a_service_its_namespace_and_port_in_one_word(said, settings):
    assert service_settings("cache", said) == settings
    load_site(settings, {}, None)


@pytest.mark.parametrize("said", ["", "/", "a/b/c", "a/b:", "a/b:c:d", "A/b", "b:0"])
def test_a_word_that_names_no_service_is_a_usage_error(said):
    with pytest.raises(UsageError):
        load_site(service_settings("cache", said), {}, None)


@settings(deadline=None)
@given(content=st.binary(max_size=400))
def test_any_bytes_are_a_site_or_a_usage_error(tmp_path_factory, content):
    directory = tmp_path_factory.getbasetemp() / f"fuzz-{os.getpid()}"
    directory.mkdir(exist_ok=True)
    (directory / "gfattach.toml").write_bytes(content)
    try:
        load_site({}, {}, directory)
    except UsageError as error:
        assert error.fact


#: Values that are nearly right, and kinds that are not: what a hand writes into a table.
_RAW = st.recursive(
    st.one_of(
        st.text(max_size=60),
        st.integers(),
        st.booleans(),
        st.floats(),
        st.sampled_from(
            ["grpc://h:1", "nix-cache", "9092", "~nobody/x", "-----BEGIN CERTIFICATE-----", KEY, "\x00"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=300)
@given(raw=_RAW, setting=st.sampled_from(SETTINGS))
def test_any_value_of_any_setting_is_read_or_a_usage_error_that_is_short(raw, setting):
    try:
        setting.read(raw, setting.key)
    except UsageError as error:
        assert error.fact.startswith((setting.key, f"the {setting.key}", f"the port of the {setting.key}"))
        assert len(error.fact) < 2000


def test_every_example_of_a_setting_is_a_value_of_it():
    import tomllib

    for setting in SETTINGS:
        if not setting.key.endswith("ca_data"):
            setting.read(tomllib.loads(f"x = {setting.example}")["x"], setting.key)


def test_every_setting_is_documented_by_the_help_topic():
    from gfattach.cli.help.command import site

    text = "\n".join(site())
    assert all(setting.key.split(".")[1] in text and setting.meaning in text for setting in SETTINGS)


def test_a_value_of_the_command_line_is_called_by_its_option():
    for key, option in (("cache.endpoint", "--cache"), ("cache.namespace", "--cache-service")):
        with pytest.raises(UsageError, match=f"option {option} "):
            load_site({key: "a/b"}, {}, None)


def test_every_setting_knows_its_option():
    options = {parameter.name: parameter.opts[0] for parameter in up.params}
    for words, _, key, _ in (*_SITE, *_CLUSTER):
        assert options[words.removeprefix("--").replace("-", "_")] == words == BY_KEY[key].option
    for words, half, _ in _SERVICES:
        said = service_settings(half, "namespace/name:port")
        assert {BY_KEY[key].option for key in said} == {words}
