"""The profile: what an operator publishes, and what a developer's machine makes of it."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.core.errors import UsageError
from gfattach.operator.publish import as_yaml
from gfattach.site.load import load_site, read_alone
from gfattach.site.profile import ENTRY, parse_profile, profile_name, render_profile, with_inline_authorities
from gfattach.site.settings import SETTINGS

SOURCE = profile_name("nix-cache", "gfattach-site")
CA = Path(__file__).parent / "data/site-ca.pem"
PUBLISHED: dict[str, Any] = {
    "site.name": "lab",
    "cache.endpoint": "grpcs://cache.example",
    "cache.service": "bazel-cache",
    "cache.service_port": 9092,
    "cache.upload": "never",
    "nix.service": "attic",
    "nix.public_keys": ["main:" + "A" * 43 + "="],
}


@pytest.fixture(autouse=True)
def no_user_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def published(values, **names):
    return render_profile(read_alone(values, "the file"), **{"namespace": "n", "name": "p", **names})


def test_what_is_published_is_what_a_developer_reads():
    manifest = published(PUBLISHED, namespace="caches", name="lab")
    assert (manifest["metadata"]["namespace"], manifest["metadata"]["name"]) == ("caches", "lab")
    site = load_site({}, {}, None, (SOURCE, parse_profile(manifest["data"], SOURCE)))
    assert site.get("cache.endpoint").url == "grpcs://cache.example:443"
    assert str(site.service("cache")) == "nix-cache/bazel-cache:9092"
    assert site.get("nix.public_keys") == tuple(PUBLISHED["nix.public_keys"])
    assert {site.source(key) for key in PUBLISHED if key != "cache.upload"} == {SOURCE}


def test_a_default_is_not_published_so_that_a_later_one_reaches_everyone():
    assert tomllib.loads(published(PUBLISHED)["data"][ENTRY])["cache"].keys() == {
        "endpoint",
        "service",
        "service_port",
    }


def test_what_says_where_to_publish_is_not_published():
    manifest = published({"cluster.context": "lab", "cluster.namespace": "caches", "site.name": "lab"})
    assert tomllib.loads(manifest["data"][ENTRY]) == {"site": {"name": "lab"}}


def test_an_authority_is_published_itself_and_not_its_path():
    site = read_alone({"cache.ca_file": str(CA), "cache.endpoint": "grpcs://h"}, "the file")
    with pytest.raises(UsageError, match=r"cache\.ca_file concerns one machine only"):
        render_profile(site, namespace="n", name="p")
    manifest = render_profile(with_inline_authorities(site), namespace="n", name="p")
    assert parse_profile(manifest["data"], SOURCE)["cache.ca_data"] == CA.read_text()


def test_a_file_with_a_key_beside_the_certificate_is_not_published(tmp_path):
    both = tmp_path / "both.pem"
    key = "-----BEGIN PRIVATE KEY-----\nS3cr\n-----END PRIVATE KEY-----\n"
    both.write_text(CA.read_text() + key)
    with pytest.raises(UsageError) as caught:
        with_inline_authorities(read_alone({"cache.ca_file": str(both)}, "the file"))
    assert "a private key" in caught.value.fact and str(both) in caught.value.fact
    assert "S3cr" not in caught.value.fact
    with pytest.raises(UsageError, match="there is no file"):
        with_inline_authorities(read_alone({"cache.ca_file": str(tmp_path / "none")}, "the file"))


def test_yaml_of_a_manifest_reads_back_as_itself_with_the_toml_as_a_block():
    manifest = published({**PUBLISHED, "cache.ca_data": CA.read_text(), "site.name": "é: # \"'"})
    text = as_yaml(manifest)
    assert yaml.safe_load(text) == manifest
    assert f"  {ENTRY}: |\n    [site]\n" in text


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "has no entry gfattach.toml"),
        (None, "has no entry gfattach.toml"),
        ({"cache.service": "bazel-cache"}, "has no entry gfattach.toml"),
        ({ENTRY: 7}, "has no entry gfattach.toml"),
        ({ENTRY: "[cache"}, "is not TOML"),
        ({ENTRY: "\ud800"}, "is not TOML"),
        ({ENTRY: "#" * 300_000}, "300000 bytes"),
        ({ENTRY: "[cache]\nservcie = 'x'"}, "there is no setting cache.servcie"),
        (
            {ENTRY: "[cache]\nservice = 7"},
            "cache.service (from the ConfigMap nix-cache/gfattach-site) is a text",
        ),
        ({ENTRY: "[cache]\nca_file = '/x'"}, "cache.ca_file concerns one machine only"),
        ({ENTRY: "[cluster]\ncontext = 'x'"}, "cluster.context concerns one machine only"),
        ({ENTRY: "[cluster]\nkubeconfig = '/x'"}, "cluster.kubeconfig concerns one machine only"),
        ({ENTRY: "[site]\nname = '\u009b2J'"}, "control character"),
    ],
)
def test_a_bad_profile_is_a_usage_error_that_names_the_configmap(data, says):
    with pytest.raises(UsageError) as caught:
        parse_profile(data, SOURCE)
    assert says in caught.value.fact and SOURCE in caught.value.fact


def test_an_authority_by_path_is_told_how_to_stand_in_a_profile():
    with pytest.raises(UsageError) as caught:
        parse_profile({ENTRY: "[nix]\nca_file = '/x'"}, SOURCE)
    assert caught.value.hints == ("write the authority itself, as nix.ca_data",)


_LINES = st.lists(
    st.one_of(
        st.sampled_from(["[cache]", "[nix]", "[[nix]]", "[cluster]", "x", "'''", '"""', "a.b.c = 1"]),
        st.builds(
            lambda setting, value: f"{setting.key.partition('.')[2]} = {value}",
            st.sampled_from(SETTINGS),
            st.sampled_from(
                ["'grpc://h:1'", "''", "1", "1e400", "{}", "[]", "[['a:b']]", "1979-05-27", "true"]
            ),
        ),
        st.text(max_size=20),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=300)
@given(lines=_LINES)
def test_any_text_of_a_configmap_is_a_profile_or_a_usage_error(lines):
    try:
        values = parse_profile({ENTRY: "\n".join(lines)}, SOURCE)
        load_site({}, {}, None, (SOURCE, values))
    except UsageError as error:
        assert 0 < len(error.fact) < 2000
