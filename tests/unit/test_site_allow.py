"""What a repository says is allowed once, by its content; what an operator says, against the last time."""

import pytest

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import RefusedError
from gfattach.site.allow import allow, demand_wrapper, disallow, pending
from gfattach.site.load import load_site
from gfattach.site.profile import profile_name
from gfattach.site.trusted import (
    Trusted,
    as_json,
    changes,
    demand_accepted,
    demand_no_loopback,
    from_json,
    named,
    on_loopback,
    trusted,
)

SOURCE = profile_name("nix-cache", "gfattach-site")
KEYS = [f"main:{letter * 43}=" for letter in "AB"]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    made = tmp_path / "w"
    made.mkdir()
    return made


def write(workspace, text, name="gfattach.toml"):
    file = workspace / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text",
    [
        "[cluster]\nkubeconfig = '/w/kubeconfig'\n",
        "[cluster]\ncontext = 'prod'\n",
        "[cache]\nendpoint = 'grpcs://cache.example'\n",
        "[cache]\nservice = 'bazel-cache'\n",
        "[cache]\nupload = 'trusted'\n",
        "[nix]\nsubstituter = 'https://nix.example/main'\n",
        f"[nix]\npublic_keys = ['{KEYS[0]}']\n",
    ],
)
def test_whatever_decides_anything_is_asked_about_and_shown_as_it_is(workspace, text):
    write(workspace, text)
    with pytest.raises(RefusedError) as caught:
        load_site({}, {}, workspace)
    assert caught.value.code == "site.unallowed"
    value = text.partition("= ")[2].strip().strip("[]'")
    assert any(value in hint for hint in caught.value.hints)
    assert f"gfattach site allow --workspace {workspace}" in caught.value.hints[-1]
    assert load_site({}, {}, workspace, look_only=True).values
    [asked] = allow(workspace)
    assert asked.name == "gfattach.toml" and value in " ".join(asked.said)
    load_site({}, {}, workspace)


@pytest.mark.parametrize("text", ["", "[site]\nname = 'lab'\n", "[executor]\nendpoint = 'grpc://farm:1'\n"])
def test_what_decides_nothing_is_not_asked_about(workspace, text):
    write(workspace, text)
    assert pending(workspace) == ()
    load_site({}, {}, workspace)


def test_another_content_is_asked_about_anew_and_a_forgotten_one_too(workspace):
    write(workspace, "[cache]\nendpoint = 'grpc://a:1'\n")
    allow(workspace)
    assert allow(workspace) == ()
    write(workspace, "[cache]\nendpoint = 'grpc://b:1'\n")
    with pytest.raises(RefusedError):
        load_site({}, {}, workspace)
    allow(workspace)
    load_site({}, {}, workspace)
    assert disallow(workspace) and not disallow(workspace)
    with pytest.raises(RefusedError):
        load_site({}, {}, workspace)


def test_what_is_allowed_in_one_workspace_is_not_in_another(workspace, tmp_path):
    text = "[cache]\nendpoint = 'grpc://a:1'\n"
    write(workspace, text)
    allow(workspace)
    other = tmp_path / "other"
    write(other, text)
    with pytest.raises(RefusedError):
        load_site({}, {}, other)


def test_a_wrapper_is_allowed_by_its_content_and_only_where_it_can_be_run(workspace):
    demand_wrapper(None)
    demand_wrapper(workspace)
    wrapper = write(workspace, "#!/bin/sh\n", "tools/bazel")
    demand_wrapper(workspace)
    wrapper.chmod(0o755)
    with pytest.raises(RefusedError) as caught:
        demand_wrapper(workspace)
    assert caught.value.code == "site.unallowed" and "--no-bazel" in caught.value.hints[-1]
    allow(workspace)
    demand_wrapper(workspace)
    wrapper.write_text("#!/bin/sh\necho\n")
    with pytest.raises(RefusedError):
        demand_wrapper(workspace)


def test_the_users_own_configuration_needs_no_leave_and_another_users_is_refused(workspace, tmp_path):
    file = write(tmp_path / "xdg_config_home/gfattach", "[cache]\nendpoint = 'grpc://mine:1'\n")
    assert load_site({}, {}, workspace).get("cache.endpoint").url == "grpc://mine:1"
    file.chmod(0o666)
    with pytest.raises(RefusedError) as caught:
        load_site({}, {}, workspace)
    assert caught.value.code == "trust.file" and str(file) in caught.value.fact


def site(**values):
    return load_site({}, {}, None, (SOURCE, values))


def test_what_a_site_has_this_machine_trust_is_named_with_its_source():
    found = trusted(site(**{"nix.public_keys": [KEYS[0]], "nix.substituter": "https://nix.example/main"}))
    assert [str(item) for item in named(found)] == [
        f"the substituter: https://nix.example:443/main (from {SOURCE})",
        f"the keys that sign for the substituter: {KEYS[0]} (from {SOURCE})",
    ]
    assert from_json(as_json(found)) == found
    by_option = load_site({"cache.endpoint": "grpc://h:1"}, {}, None)
    assert named(trusted(by_option)) == () and len(trusted(by_option)) == 1


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([KEYS[0]], KEYS, f"before {KEYS[0]} (from {SOURCE}); now {' '.join(KEYS)} (from {SOURCE})"),
        ([KEYS[0]], [KEYS[1]], f"now {KEYS[1]} (from {SOURCE})"),
        ([], [KEYS[0]], f"before nothing; now {KEYS[0]} (from {SOURCE})"),
        ([KEYS[0]], [], "now nothing"),
    ],
)
def test_a_change_of_the_configmap_has_to_be_accepted_and_says_old_and_new(before, after, said):
    old, new = (trusted(site(**{"nix.public_keys": keys})) for keys in (before, after))
    demand_accepted(old, old)
    [line] = changes(old, new)
    assert said in line
    with pytest.raises(RefusedError) as caught:
        demand_accepted(old, new)
    assert caught.value.code == "site.changed" and line in caught.value.hints
    assert any("--accept-site" in hint for hint in caught.value.hints)


def test_what_the_user_changes_needs_no_leave():
    old = (Trusted("nix.public_keys", KEYS[0], "an option"),)
    new = (Trusted("nix.public_keys", KEYS[1], "/home/me/.config/gfattach/gfattach.toml"),)
    assert changes(old, new) == ()


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]"),
        *("localhost", "LOCALHOST.", "a.localhost"),
    ],
)
def test_an_endpoint_on_this_machine_is_not_taken_from_a_configmap(host):
    endpoint = f"http://{host}:631/admin"
    assert on_loopback(parse_endpoint(endpoint))
    with pytest.raises(RefusedError) as caught:
        demand_no_loopback(site(**{"nix.substituter": endpoint}))
    assert caught.value.code == "site.loopback" and SOURCE in caught.value.fact
    demand_no_loopback(load_site({"nix.substituter": endpoint}, {}, None))
    demand_no_loopback(site(**{"nix.substituter": endpoint, "nix.service": "attic"}))
    demand_no_loopback(site(**{"nix.substituter": "https://nix.example/main"}))


@pytest.mark.parametrize("mark", ["\x9b", "\u202e", "\u2066", "\u200b", "\x1b", "\n"])
def test_no_value_of_a_site_steers_a_terminal(mark):
    with pytest.raises(Exception, match="control character") as caught:
        load_site({"site.name": f"a{mark}b"}, {}, None)
    assert mark not in str(caught.value)


@pytest.mark.parametrize("name", ["a#b", "a b", "a?b", "", "#", "a\x85b", "$(x)", "a'b"])
def test_a_name_of_a_key_is_of_the_grammar_that_a_nix_conf_can_hold(name):
    with pytest.raises(Exception, match="public key"):
        load_site({"nix.public_keys": [f"{name}:{'A' * 43}="]}, {}, None)
