"""The site: which source wins, and what a bad file says."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.errors import StorageError, UsageError
from gfattach.site.load import load_site, read_site_file
from gfattach.site.settings import SETTINGS

KEY = "main:" + "A" * 43 + "="


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


def test_every_setting_is_documented_by_the_help_topic():
    from gfattach.cli.help import site

    text = "\n".join(site())
    assert all(setting.key.split(".")[1] in text and setting.meaning in text for setting in SETTINGS)
