"""Faults of Nix that only who runs commands meets: flakes, proxies, rotated netrcs and limited caches."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from gfattach.fragments import nixconf
from gfattach.nix.flake import nix_config, replacing
from gfattach.nix.program import nix_store, waits_when_limited
from tests.harness.machine.budget import budget
from tests.harness.machine.developer import findings
from tests.harness.machine.nix_failures import EXPRESSION
from tests.harness.machine.nixes import NIX_SECONDS, daemon, private_environment, real_nix
from tests.harness.substituters import binary_caches as nix_caches
from tests.harness.substituters.attic import Heads, attic, sent, token

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

KEY = str(nix_caches.KEY.public_key)
INFOS = (nix_caches.probe_info(), nix_caches.signed(nix_caches.signed_info(), nix_caches.KEY))


@pytest.fixture
def cache():
    """A signed path in a cache that is spoken to in the clear; its port."""
    with nix_caches.serving(nix_caches.publishing(*INFOS)) as port:
        yield port


def private_nix(machine, **settings: str):
    nix = real_nix()
    private = private_environment(machine.root / "nix", **settings)
    machine.variables |= {name: value for name, value in private.items() if name.startswith("NIX_")}
    return nix


def attach(machine, url: str) -> dict:
    return machine.json("up", "--substituter", url, "--public-key", KEY, "--no-bazel")


def build(machine, nix, path: str) -> subprocess.CompletedProcess[str]:
    """Have the user's Nix, in an attached shell, take a path and build nothing, in a store of its own."""
    include = nixconf.include_line(machine.workspace / ".gfattach/nix.conf")
    command = [str(nix_store(nix)), "--store", f"local?root={machine.root / 'store'}", "--realise", path]
    return subprocess.run(
        [*command, "--max-jobs", "0"],
        env={**machine.environment, "NIX_CONFIG": include},
        capture_output=True,
        text=True,
        timeout=budget(NIX_SECONDS),
    )


# A flake that replaces all substituters


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{ nixConfig.substituters = [ "https://a.example" ]; outputs = _: { }; }', "substituters"),
        ('{ "nixConfig" = { "substituters" = [ ]; }; }', "substituters"),
        (
            '{\n  # ours\n  nixConfig = {\n    substituters = [\n      "https://a.b" /* all */\n    ];\n'
            '    trusted-public-keys = [ "a:b" ];\n  };\n}',
            "substituters and trusted-public-keys",
        ),
        ('{ nixConfig.trusted-public-keys = [ "a:b" ]; }', "trusted-public-keys"),
        (
            '{ nixConfig = { binary-caches = "https://a.b"; substitute = false; }; }',
            "binary-caches and substitute",
        ),
        ('{ nixConfig.extra-substituters = [ "https://a.example" ]; }', ""),
    ],
)
def test_a_flake_that_replaces_the_substituters_is_a_warning_of_up_and_of_contract(
    machine, cache, text, names
):
    private_nix(machine)
    url = f"http://127.0.0.1:{cache}"
    (machine.workspace / "flake.nix").write_text(text.replace("URL", url))
    machine.git("add", "flake.nix")
    found = findings(attach(machine, url))["nix.flake"]
    code, status = ("nix.flake.replaces", "warn") if names else ("nix.flake.ok", "ok")
    assert (found["code"], found["status"]) == (code, status)
    assert f"sets {names} in nixConfig" in found["seen"] or not names
    hazards = contract_hazards(machine)
    assert ("hazard.flake.replaces" in hazards) == bool(names)
    if names:
        assert f"sets {names} in nixConfig" in hazards["hazard.flake.replaces"]["seen"]


def contract_hazards(machine) -> dict[str, dict]:
    return {found["code"]: found for found in machine.json("contract")["result"]["hazards"]}


# A proxy of the shell that the daemon does not have


def test_a_proxy_of_the_shell_that_the_daemon_may_not_have_is_a_warning_of_up_and_of_doctor(
    machine, cache, tmp_path
):
    with daemon(real_nix(), tmp_path / "d", trusted_users="*") as served:
        machine.variables |= {k: v for k, v in served.environment.items() if k.startswith("NIX_")}
        machine.variables["http_proxy"] = f"http://me:s3cret@127.0.0.1:{cache}"
        document = attach(machine, "http://cache.invalid")
        found = findings(document)["nix.proxy"]
        assert (found["code"], found["status"]) == ("nix.proxy.daemon", "warn")
        assert f"127.0.0.1:{cache}" in found["seen"] and "s3cret" not in str(document)
        seen = findings(machine.json("doctor"))["nix.proxy"]
        assert (seen["code"], seen["status"]) == ("nix.proxy.daemon", "warn")
        machine.variables["no_proxy"] = "127.0.0.1"
        direct = findings(attach(machine, f"http://127.0.0.1:{cache}"))
        assert direct["nix.proxy"]["code"] == "nix.proxy.ok"


# A netrc of the user's that is rotated


OTHER = "127.0.0.1"

#: A netrc knows no ports: a token goes to an address that nothing else has.
OWN_ADDRESS = "127.7.7.7"


def entry(word: str) -> str:
    return f"machine {OTHER} login me password {word}\n"


def replaced(path: Path, text: str) -> None:
    beside = path.with_name("new-netrc")
    beside.write_text(text)
    beside.chmod(0o600)
    beside.replace(path)


@contextlib.contextmanager
def wanting(words: list[str]):
    """A cache of the user's own, which serves the probe path for the last of `words`; its port, and heads."""
    asked = Heads()
    refusal = nix_caches.answer(b"", 401)

    def guarded(right):
        return lambda connection: connection.sendall(right if sent(asked.mine) == words[-1] else refusal)

    routes = {path: guarded(reply) for path, reply in nix_caches.publishing(INFOS[0]).items()}
    with nix_caches.serving({**routes, "*": guarded(nix_caches.answer(b"", 404))}, requests=asked) as port:
        yield port, asked


@pytest.mark.parametrize(
    ("write", "proxied"),
    [(Path.write_text, False), (replaced, True)],
    ids=["written-anew", "replaced-behind-a-proxy"],
)
def test_a_netrc_that_changes_after_up_reaches_a_build(machine, write, proxied):
    own, good, words = machine.root / "home/own-netrc", token(), ["hour-1"]
    replaced(own, entry("hour-1"))
    with wanting(words) as (others, asked), attic({good}, address=OWN_ADDRESS) as (port, _):
        nix = private_nix(machine, substituters=f"http://{OTHER}:{others}", netrc_file=str(own))
        url = f"http://{OWN_ADDRESS}:{port}"
        if proxied:
            machine.variables |= {"http_proxy": url, "no_proxy": OTHER}
            url = "http://nix-cache.example"
        machine.login(url, good)
        attach(machine, f"{url}/main")
        netrc = machine.workspace / ".gfattach/netrc"
        assert netrc.read_text().endswith(entry("hour-1"))
        words.append("hour-2")
        write(own, entry("hour-2"))
        end = time.monotonic() + budget(30)
        while not netrc.read_text().endswith(entry("hour-2")):
            assert time.monotonic() < end, netrc.read_text()
            time.sleep(0.1)
        assert good in netrc.read_text()
        done = build(machine, nix, str(nix_caches.PROBE))
        assert done.returncode == 0, done.stderr
        assert {sent(head) for head in asked if b".narinfo" in head} == {"hour-2"}
        assert machine.run("down").returncode == 0 and not netrc.exists()
        machine.run("credential", "logout", url)


# A substituter that answers 429


def test_a_cache_that_limits_requests_is_asked_once_where_nix_would_wait_a_minute(machine, each_nix):
    """By a proof and by a build in an attached shell: of each request for a narinfo, there is one."""
    asked, limits = Heads(), []
    routes = nix_caches.publishing(*INFOS)

    def limited(path: str):
        right, limit = routes[path], nix_caches.answer(b"", 429, Retry_After="1")
        return lambda connection: connection.sendall(limit if limits and by_nix(asked.mine) else right)

    paths = {path: limited(path) for path in routes if path.endswith(".narinfo")}
    with nix_caches.serving({**routes, **paths}, requests=asked) as port:
        nix = private_nix(machine)
        attach(machine, f"http://127.0.0.1:{port}")
        limits.append("from now on")
        each = 1 if waits_when_limited(nix) else 2
        for fails in (
            lambda: machine.run("prove", "--no-bazel").returncode == 4,
            lambda: build(machine, nix, str(nix_caches.PROBE)).returncode != 0,
        ):
            asked.clear()
            assert fails()
            assert len([head for head in asked if by_nix(head) and b".narinfo" in head]) == each


def by_nix(head: bytes) -> bool:
    return b" Nix/" in head


@pytest.mark.parametrize(
    ("setting", "asks"),
    [
        ("", True),
        ("binary-caches = [ ]", False),
        ("substitute = false", False),
        ("build-use-substitutes = false", False),
        ("extra-binary-caches = [ ]", True),
    ],
)
def test_what_is_said_to_leave_a_cache_out_does_so_in_a_build_of_each_nix(each_nix, tmp_path, setting, asks):
    nix, asked = real_nix(), []
    (tmp_path / "flake").mkdir()
    text = f"{{ {f'nixConfig.{setting};' if setting else ''} outputs = _: {{ x = {EXPRESSION}; }}; }}"
    (tmp_path / "flake/flake.nix").write_text(text)
    with nix_caches.serving(nix_caches.publishing(), requests=asked) as port:
        url = f"http://127.0.0.1:{port}"
        settings = {"substituters": url, "experimental_features": "nix-command flakes"}
        flake, store = f"path:{tmp_path}/flake#x", f"local?root={tmp_path}/store"
        subprocess.run(
            [str(nix.path), "build", "--no-link", "--accept-flake-config", "--store", store, flake],
            env=private_environment(tmp_path / "nix", **settings),
            capture_output=True,
            check=True,
            timeout=budget(NIX_SECONDS),
        )
    assert bool(asked) == asks == (not replacing(nix_config(text), url))
