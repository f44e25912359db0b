"""What a flake.nix says in nixConfig, in the shapes of public flakes; a real Nix is the second opinion."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from gfattach.contract.hazards.files import flake_hazards
from gfattach.nix.flake import nix_config, read, replacing
from tests.harness.machine.nixes import NIX_SECONDS, private_environment, real_nix

#: A flake's text, and which settings its nixConfig has.
SHAPES = {
    "dotted": (
        '{ nixConfig.substituters = [ "https://a" "https://b/" ]; outputs = _: { }; }',
        {"substituters"},
    ),
    "a set": (
        '{ description = "x"; nixConfig = { extra-substituters = "https://devenv.cachix.org"; '
        'extra-trusted-public-keys = "k:1"; }; inputs = { }; outputs = { self }: { }; }',
        {"extra-substituters", "extra-trusted-public-keys"},
    ),
    "comments": (
        '{ # nixConfig.substituters = [ "x" ];\n/* nixConfig = { substituters = 1; }; */\n'
        "nixConfig.fallback = true; }",
        {"fallback"},
    ),
    "one that an output has": (
        '{ outputs = { self }: { nixConfig = { substituters = [ "n" ]; }; }; }',
        set(),
    ),
    "indented strings": (
        "{ description = ''nixConfig = { substituters = ''${x}; }''; "
        "nixConfig = { \"substituters\" = [ ''https://a'' ]; }; }",
        {"substituters"},
    ),
    "behind the outputs": (
        '{ inputs.x.url = "github:a/b"; outputs = inputs@{ self, ... }: let y = { z = 1; }; in { a = y.z; }; '
        'nixConfig = { trusted-public-keys = [ "a:b" ]; substituters = [ ]; }; }',
        {"trusted-public-keys", "substituters"},
    ),
    "names of old": (
        '{ nixConfig = { binary-caches = [ "https://a" ]; binary-cache-public-keys = "a:b"; }; }',
        {"binary-caches", "binary-cache-public-keys"},
    ),
    "none": ("{ outputs = { self }: { }; }", set()),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_settings_are_those_that_stand_there(shape):
    text, names = SHAPES[shape]
    assert set(nix_config(text)) == names


@pytest.mark.nix
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "indented strings"])
def test_a_real_nix_sees_the_same(tmp_path, shape):
    nix = real_nix()
    text, names = SHAPES[shape]
    (tmp_path / "flake.nix").write_text(text)
    expression = f"builtins.attrNames ((import {tmp_path}/flake.nix).nixConfig or {{ }})"
    args: list[Any] = [
        nix.path.with_name("nix-instantiate"),
        "--store",
        "dummy://",
        "--eval",
        "--strict",
        "--json",
    ]
    environ = private_environment(tmp_path / "nix")
    done = subprocess.run(
        [*args, "-E", expression], env=environ, capture_output=True, text=True, timeout=NIX_SECONDS
    )
    assert set(json.loads(done.stdout)) == names, done.stderr


def test_what_is_inherited_counts():
    text = "{ nixConfig = { inherit (cache) substituters; trusted-public-keys = cache.keys; }; }"
    assert set(nix_config(text)) == {"substituters", "trusted-public-keys"}


@pytest.mark.parametrize(
    "text", ["", "garbage {{{", "{ nixConfig", '{ nixConfig = { substituters = "', "}}}} ]"]
)
def test_what_is_no_flake_says_nothing(text):
    assert replacing(nix_config(text), "http://a") == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('nixConfig.binary-caches = [ "https://a" ];', ("binary-caches",)),
        ('nixConfig.binary-caches = "https://a http://b/main";', ()),
        ("nixConfig.substitute = false;", ("substitute",)),
        ('nixConfig = { build-use-substitutes = "false"; };', ("build-use-substitutes",)),
        ("nixConfig.substitute = true;", ()),
        ('nixConfig.extra-binary-caches = [ "https://a" ];', ()),
        (
            'nixConfig = { binary-cache-public-keys = "a:b"; substitute = false; };',
            ("binary-cache-public-keys", "substitute"),
        ),
    ],
)
def test_names_of_old_and_what_asks_no_cache_at_all_count(text, names):
    text = f"{{ {text} }}"
    assert replacing(nix_config(text), "http://b/main") == names
    [*found] = flake_hazards(text, "http://b/main")
    assert bool(found) == bool(names)
    if found:
        assert all(any(name in hint for hint in found[0].hints) for name in names)
        assert "extra-substitute," not in str(found[0].hints)


def test_a_flake_that_names_the_cache_itself_replaces_nothing_of_it():
    assert replacing({"substituters": ("https://a", "http://b/main/")}, "http://b/main") == ()
    assert replacing({"substituters": ("https://a",)}, "http://b/main") == ("substituters",)
    assert replacing({"extra-substituters": ("https://a",)}, "http://b/main") == ()


def test_the_contract_warns_of_one_that_replaces_all():
    [finding] = flake_hazards('{ nixConfig.substituters = [ "https://a" ]; }', "")
    assert finding.code == "hazard.flake.replaces" and "extra-substituters" in finding.hints[0]
    assert flake_hazards('{ nixConfig.extra-substituters = [ "https://a" ]; }', "") == ()


def test_a_directory_without_a_flake_has_none(tmp_path):
    assert read(tmp_path) == "" and read(tmp_path / "none") == ""
