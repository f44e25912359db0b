"""The flake, offline: every output evaluates, its checks pass, `nix run .#attach -- --trial` attaches, and
its modules say what a NixOS and a home need to.

nixpkgs is stood in for by `tests/nixpkgs-stub`, and its Python by the one that runs the tests. The store
is a private one below the test's directory: nothing of this machine's /nix is read or made.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gfattach import __version__
from gfattach.nix.program import Flavour, Nix
from gfattach.probes.nix import trust as nix_trust
from gfattach.site.load import load_site
from tests.harness.machine.developer import ROOT
from tests.harness.machine.nixes import untouched  # noqa: F401

pytestmark = [
    pytest.mark.nix,
    pytest.mark.usefixtures("untouched"),
    pytest.mark.skipif(shutil.which("nix") is None, reason="apt-get install nix-bin"),
]
SYSTEMS = ("x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin")


@pytest.fixture
def flake(machine):
    """`nix` for a copy of the tracked files, with the stub in place of nixpkgs."""
    source = machine.root / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    stub = machine.root / "nixpkgs"
    shutil.copytree(ROOT / "tests/nixpkgs-stub", stub)
    (stub / "python").write_text(sys.executable)
    place = machine.root / "nix"
    settings = {
        "experimental-features": "nix-command flakes",
        "sandbox": "false",
        "build-users-group": "",
        "substituters": "",
    }
    environment = {
        **machine.environment,
        "NIX_STORE_DIR": str(place / "store"),
        "NIX_STATE_DIR": str(place / "state"),
        "NIX_LOG_DIR": str(place / "log"),
        "NIX_CONF_DIR": str(place / "conf"),
        "NIX_CONFIG": "\n".join(f"{name} = {value}" for name, value in settings.items()),
    }
    del environment["PYTHONPATH"]  # the package has to find itself

    def nix(*args, flake=f"path:{source}", after=(), cwd=source):
        offline = ["--override-input", "nixpkgs", f"path:{stub}", "--no-write-lock-file"]
        command = ["nix", *args[:-1], f"{flake}{args[-1]}", *offline, "--offline", *after]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)

    nix.stub = stub  # type: ignore[attr-defined]

    existed = Path("/nix").exists()
    yield nix
    assert Path("/nix").exists() == existed
    for directory, names, _ in os.walk(place):
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(0o700)


def test_every_output_evaluates_for_every_system(flake):
    done = flake("flake", "show", "--json", "")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    for kind, names in {
        "packages": ["default"],
        "apps": ["attach", "default"],
        "devShells": ["default"],
        "checks": ["package", "runs"],
    }.items():
        for system in SYSTEMS:
            assert sorted(outputs[kind][system]) == names
    assert set(outputs["formatter"]) == set(SYSTEMS)
    assert outputs["packages"][SYSTEMS[0]]["default"]["name"] == f"gfattach-{__version__}"
    assert list(outputs["nixosModules"]) == ["default"] and "homeManagerModules" in outputs


def test_the_flake_check_passes(flake):
    """It builds the checks of this system too: the modules load, and the installed program runs."""
    done = flake("flake", "check", "")
    assert done.returncode == 0, done.stderr


def test_it_asks_for_the_packages_that_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    flake = (ROOT / "flake.nix").read_text()

    def names(requirements):
        bare = (re.split(r"[<>=\[]", requirement)[0].lower() for requirement in requirements)
        return {name.replace(".", "-") for name in bare}

    def listed(*begins):
        return {name for begin in begins for name in flake.partition(begin)[2].partition("]")[0].split()}

    assert listed("dependencies = with pkgs.python3Packages; [") == names(project["dependencies"])
    shell = listed("packages =\n            (with pkgs.python3Packages; [", "++ (with pkgs; [")
    assert names(project["optional-dependencies"]["dev"]) <= shell


def test_the_formatter_is_one_that_needs_no_name_of_a_file(flake):
    """From 2.25 on `nix fmt` gives none, and a formatter of single files waits for its input then."""
    done = flake("eval", "--raw", "#formatter.x86_64-linux.name")
    assert (done.returncode, done.stdout) == (0, "treefmt"), done.stderr


def test_a_check_fails_where_a_module_cannot_be_loaded(flake, machine):
    (machine.root / "source/gfattach/cli/main.py").write_text("import no_such_module\n")
    done = flake("flake", "check", "")
    assert done.returncode != 0
    assert "no_such_module" in done.stderr


def test_nix_run_attach_trial_attaches_and_down_undoes_it(flake, machine):
    before = machine.files()
    options = ("--trial", "--no-bazel", "--no-nix", "--output", "json")
    done = flake("run", "#attach", after=("--", *options), cwd=machine.workspace)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert json.loads(done.stdout)["result"]["attached"] is True
    assert flake("run", "#default", after=("--", "down"), cwd=machine.workspace).returncode == 0
    assert machine.files() == before


#: What a configuration of NixOS and of home-manager declares, as far as the modules set it.
HOSTS = """
      options = {
        assertions = list; environment.systemPackages = list; home.packages = list;
        nix.settings = { trusted-substituters = list; trusted-public-keys = list; trusted-users = list; };
        xdg.configFile = set; home.file = set;
      };
"""
#: A module may be imported from two places, as happens where several parts of a configuration want it.
EVALUATE = """
  module: let
    nixpkgs = builtins.getFlake "path:%s";
    inherit (nixpkgs) lib;
    list = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
    set = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
    host = { %s };
    user = { config.programs.gfattach = %s; };
    inherit (lib.evalModules {
      modules = [ host module user module ];
      specialArgs.pkgs = nixpkgs.legacyPackages.%s;
    }) config;
    names = map (package: package.name);
  in {
    inherit (config) assertions;
    inherit (config.nix) settings;
    installed = names (config.environment.systemPackages ++ config.home.packages);
    xdg = builtins.mapAttrs (_: file: builtins.readFile file.source) config.xdg.configFile;
    home = builtins.mapAttrs (_: file: builtins.readFile file.source) config.home.file;
  }
"""
SUBSTITUTER = "https://nix-cache.example/main"
KEY = "main:" + "A" * 43 + "="
SITE = {"substituter": SUBSTITUTER, "publicKeys": [KEY]}


@pytest.fixture
def module(flake):
    """What a module makes of `programs.gfattach`, on a system; the error when it makes nothing of it."""

    def evaluate(kind, system="x86_64-linux", written=None, **values):
        said = written or f"builtins.fromJSON ''{json.dumps(values)}''"
        apply = EVALUATE % (flake.stub, HOSTS, said, system)
        options = ("--json", "--impure", "--apply", apply)
        done = flake("eval", f"#{kind}.default", after=options)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    return evaluate


@pytest.mark.parametrize("kind", ["nixosModules", "homeManagerModules"])
def test_a_module_that_is_not_enabled_sets_nothing(module, kind):
    made = module(kind, site=SITE)
    assert made["installed"] == [] and made["xdg"] == {} and made["assertions"] == []
    assert not any(made["settings"].values())


def test_a_nixos_lets_everybody_take_from_the_site_and_trusts_nobody_more(module):
    made = module("nixosModules", enable=True, site=SITE)
    assert made["installed"] == [f"gfattach-{__version__}"]
    assert made["settings"] == {
        "trusted-substituters": [SUBSTITUTER],
        "trusted-public-keys": [KEY],
        "trusted-users": [],
    }
    assert all(entry["assertion"] for entry in made["assertions"])


def test_a_nixos_says_what_the_doctor_tells_its_administrator_to_say(module, monkeypatch, tmp_path):
    monkeypatch.setattr(nix_trust, "NIXOS_MARK", tmp_path)
    nix = Nix(Path("/nix"), "2.8.0", Flavour.NIX)
    settings = module("nixosModules", enable=True, site=SITE)["settings"]
    lines = [line for line in nix_trust.administrator_lines(nix, SUBSTITUTER, (KEY,), {}) if " = " in line]
    assert lines == [
        f'nix.settings.{name} = [ "{settings[name][0]}" ];'
        for name in ("trusted-substituters", "trusted-public-keys")
    ]


def test_a_nixos_is_told_that_a_substituter_without_a_key_is_of_no_use(module):
    made = module("nixosModules", enable=True, site={"substituter": SUBSTITUTER})
    assert [entry["assertion"] for entry in made["assertions"]] == [False]


@pytest.mark.parametrize(
    "site",
    [
        {"substituter": f"{SUBSTITUTER}/"},
        {"substituter": f"{SUBSTITUTER}?trusted=1"},
        {"substituter": "https://Nix-Cache.example/main"},
        {"substituter": "https://user:secret@nix-cache.example/main"},
        {"substituter": "main"},
        {"publicKeys": ["main"]},
    ],
)
@pytest.mark.parametrize("kind", ["nixosModules", "homeManagerModules"])
def test_what_a_daemon_would_not_match_or_not_verify_is_refused(module, kind, site):
    assert "wrong type" in module(kind, enable=True, site={**SITE, **site})


@pytest.mark.parametrize(
    ("system", "place", "file"),
    [
        ("x86_64-linux", "xdg", "gfattach/gfattach.toml"),
        ("aarch64-darwin", "home", "Library/Application Support/gfattach/gfattach.toml"),
    ],
)
def test_a_home_describes_the_site_where_gfattach_looks_for_it(
    module, monkeypatch, tmp_path, system, place, file
):
    site = {**SITE, "name": "lab", "cache": "grpc://cache.example:9092", "signedPath": None}
    settings = {"cache": {"instance": "main"}, "site": {"name": "the lab"}}
    made = module("homeManagerModules", system, enable=True, site=site, settings=settings)
    assert made["installed"] == [f"gfattach-{__version__}"]
    assert list(made[place]) == [file]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    written = tmp_path / "gfattach/gfattach.toml"
    written.parent.mkdir()
    written.write_text(made[place][file])
    loaded = load_site({}, {}, None)
    assert loaded.source("nix.substituter") == str(written)
    assert loaded.substituter_target().endpoint.url == "https://nix-cache.example:443/main"
    assert loaded.substituter_target().public_keys == (KEY,)
    assert (loaded.get("site.name"), loaded.get("cache.instance")) == ("the lab", "main")
    assert loaded.cache_target().endpoint.url == "grpc://cache.example:9092"


def documented(module):
    """What the page on sites has a user of `module` write: the value of `programs.gfattach`."""
    page = (ROOT / "docs/site.md").read_text()
    [block] = [b.split("```")[0] for b in page.split("```nix\n")[1:] if module in b]
    return block.partition("programs.gfattach = ")[2].rstrip().removesuffix(";")


def test_what_the_page_on_sites_says_for_a_nixos_and_a_home_is_taken(module):
    made = module("nixosModules", written=documented("nixosModules.default"))
    assert made["installed"] and made["settings"]["trusted-substituters"]
    assert all(entry["assertion"] for entry in made["assertions"])
    home = module("homeManagerModules", written=documented("homeManagerModules.default"))
    [(name, text)] = home["xdg"].items()
    assert name == "gfattach/gfattach.toml"
    tables = tomllib.loads(text)
    assert {"cache", "nix", "site"} <= set(tables)
    assert made["settings"]["trusted-substituters"] == [tables["nix"]["substituter"]]
    assert made["settings"]["trusted-public-keys"] == tables["nix"]["public_keys"]


def test_a_home_without_a_site_has_no_file(module):
    made = module("homeManagerModules", enable=True)
    assert made["installed"] and made["xdg"] == {}
