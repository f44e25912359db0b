"""The Nix fragment, read by a real Nix through `NIX_CONFIG`, beside what the user has configured."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfattach.core.endpoint import parse_endpoint
from gfattach.fragments import nixconf
from gfattach.nix import netrc
from gfattach.nix.program import Nix
from gfattach.nixcache.target import SubstituterTarget
from tests.harness.machine.nixes import (
    NIX_SECONDS,
    BinaryCache,
    make_cache,
    private_environment,
    real_nix,
    serving_files,
)
from tests.harness.substituters import binary_caches as nix_caches

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("each_nix", "untouched")]

USER_KEY = "user-1:" + "A" * 43 + "="
USER_CONF = f"extra-substituters = http://user.invalid\nextra-trusted-public-keys = {USER_KEY}\ncores = 3\n"
UNPUBLISHED = """derivation {
  name = "gfattach-test-local";
  system = "builtin";
  builder = "builtin:buildenv";
  derivations = [ ];
  manifest = "/dev/null";
}"""
TARGET = SubstituterTarget(parse_endpoint("http://127.0.0.1:1/main"), ("main:" + "B" * 43 + "=",))


@dataclass
class User:
    """Somebody with a nix.conf of their own, and nothing of this machine's."""

    nix: Nix
    environ: dict[str, str]
    root: Path

    def run(self, *args: str, config: str | None) -> subprocess.CompletedProcess[str]:
        environ = {**self.environ, **({} if config is None else {nixconf.VARIABLE: config})}
        return subprocess.run(
            args, env=environ, capture_output=True, text=True, timeout=NIX_SECONDS, cwd=self.root
        )

    def settings(self, config: str | None) -> Mapping[str, object]:
        done = self.run(str(self.nix.path), "show-config", "--json", config=config)
        assert done.returncode == 0, done.stderr
        assert "unknown setting" not in done.stderr
        return {name: item["value"] for name, item in json.loads(done.stdout).items()}

    def store(self, program: str, *args: str, config: str) -> subprocess.CompletedProcess[str]:
        # A place without the letters of `root`: a Nix of today reads the store's address as a URL.
        return self.run(
            program, "--store", f"local?root={self.root.with_name('store')}", *args, config=config
        )


@pytest.fixture
def user(tmp_path: Path) -> User:
    root = tmp_path / "ünï¢ode"
    root.mkdir()
    environ = private_environment(root)
    del environ["NIX_USER_CONF_FILES"]
    own = root / "home/.config/nix/nix.conf"
    own.parent.mkdir(parents=True)
    own.write_text(USER_CONF)
    return User(real_nix(), environ, root)


@pytest.fixture(scope="module")
def cache(each_nix: str, tmp_path_factory: pytest.TempPathFactory) -> BinaryCache:
    return make_cache(real_nix(), tmp_path_factory.mktemp("cache"))


def test_the_user_keeps_what_was_configured_and_gets_the_cache_besides(user: User) -> None:
    fragment = user.root / "nix.conf"
    known = user.settings(None)
    fragment.write_text(nixconf.render(TARGET, known, netrc_file=user.root / "netrc"))
    found = user.settings(f"max-jobs = 7\n{nixconf.include_line(fragment)}")
    assert known["substituters"] == ["http://user.invalid"]
    assert found["substituters"] == ["http://user.invalid", "http://127.0.0.1:1/main"]
    keys = found["trusted-public-keys"]
    assert isinstance(keys, list) and {USER_KEY, *TARGET.public_keys} <= set(keys)
    assert (found["cores"], found["max-jobs"]) == (3, 7)
    assert found["connect-timeout"] == nixconf.CONNECT_SECONDS
    assert found["download-attempts"] == nixconf.ATTEMPTS
    assert found["stalled-download-timeout"] == nixconf.STALLED_SECONDS
    assert found["narinfo-cache-negative-ttl"] == nixconf.NEGATIVE_SECONDS
    assert found["netrc-file"] == str(user.root / "netrc")


def test_bounds_of_the_users_that_are_stricter_are_as_before(user: User) -> None:
    strict = "connect-timeout = 1\nnarinfo-cache-negative-ttl = 0\nstalled-download-timeout = 900"
    fragment = user.root / "nix.conf"
    known = user.settings(strict)
    fragment.write_text(nixconf.render(TARGET, known))
    found = user.settings(f"{strict}\n{nixconf.include_line(fragment)}")
    assert (found["connect-timeout"], found["narinfo-cache-negative-ttl"]) == (1, 0)
    assert found["stalled-download-timeout"] == nixconf.STALLED_SECONDS


def test_this_nix_knows_every_setting_that_all_are_said_to_know(user: User) -> None:
    assert set(user.settings(None)) >= nixconf.UNIVERSAL_SETTINGS


@pytest.mark.parametrize("text", [nixconf.emptied(), None], ids=["emptied", "gone"])
def test_emptied_or_gone_the_fragment_changes_nothing(user: User, text: str | None) -> None:
    fragment = user.root / "nix.conf"
    if text is not None:
        fragment.write_text(text)
    assert user.settings(nixconf.include_line(fragment)) == user.settings(None)


@pytest.mark.parametrize("name", ["ünï¢ode", "a=b", "a(b)", "a*b;c", "~a", "!b", "%c", "a,b:c@d+e"])
def test_every_path_that_is_not_refused_can_be_included(user: User, name: str) -> None:
    fragment = user.root / name
    fragment.write_text(nixconf.render(TARGET, None))
    found = user.settings(nixconf.include_line(fragment))["substituters"]
    assert isinstance(found, list) and "http://127.0.0.1:1/main" in found


@pytest.mark.parametrize("name", ["a b", "a\tb", "a#b"])
def test_white_space_and_hashes_are_refused_because_nix_cannot(user: User, name: str) -> None:
    fragment = user.root / name
    fragment.write_text("cores = 9\n")
    shown = user.run(str(user.nix.path), "show-config", "--json", config=f"!include {fragment}")
    assert shown.returncode != 0 or json.loads(shown.stdout)["cores"]["value"] != 9


def test_the_line_for_a_shell_reaches_nix(user: User) -> None:
    fragment = user.root / "nix.conf"
    fragment.write_text(nixconf.render(TARGET, None))
    script = f"NIX_CONFIG='cores = 5'; {nixconf.activation(fragment)}; nix show-config --json"
    done = user.run("/bin/sh", "-c", script, config=None)
    found = json.loads(done.stdout)
    assert "http://127.0.0.1:1/main" in found["substituters"]["value"], done.stderr
    assert found["cores"]["value"] == 5


def test_a_signed_path_comes_from_the_cache_and_once_that_is_gone_only_emptying_helps(
    user: User, cache: BinaryCache
) -> None:
    """A cache that Nix has used and cannot reach is fatal to a build that it has nothing to do with."""
    fragment = user.root / "nix.conf"
    config = nixconf.include_line(fragment)
    (user.root / "home/.config/nix/nix.conf").write_text("")
    with serving_files(cache.directory) as port:
        url = f"http://127.0.0.1:{port}"
        target = SubstituterTarget(parse_endpoint(url), (cache.public_key,))
        fragment.write_text(nixconf.render(target, None))
        served = user.store("nix-store", "-r", cache.signed_path, "--max-jobs", "0", config=config)
        assert served.returncode == 0, served.stderr
        assert f"copying path '{cache.signed_path}' from '{url}'" in served.stderr
    build = ("nix-build", "--no-out-link", "--expr", UNPUBLISHED)
    assert user.store(*build, config=config).returncode != 0
    fragment.write_text(nixconf.emptied())
    built = user.store(*build, config=config)
    assert built.returncode == 0, built.stderr


TOKEN = "eyJh.s3cret.c2ln"


def credentials(head: bytes) -> str:
    """The password that a request sends; empty without any. Attic takes it for the bearer's token."""
    for line in head.decode().splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "authorization" and value.strip().startswith("Basic "):
            return base64.b64decode(value.split()[1]).decode().partition(":")[2]
    return ""


@contextlib.contextmanager
def private_cache(redirected_to: int | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A cache that serves whoever has the token, as Attic serves a private one; and what it was asked."""
    routes = nix_caches.publishing(nix_caches.signed(nix_caches.signed_info(), nix_caches.KEY))
    if redirected_to is not None:
        routes["/nar/signed.nar.xz"] = nix_caches.redirect(f"http://127.0.0.1:{redirected_to}/object")
    asked: list[bytes] = []

    def guarded(path: str) -> nix_caches.Reply:
        def reply(connection) -> None:
            known = credentials(asked[-1]) == TOKEN
            answer = routes[path] if known else nix_caches.answer(b"{}", 401)
            assert isinstance(answer, bytes)
            connection.sendall(answer)

        return reply

    with nix_caches.serving({path: guarded(path) for path in routes}, requests=asked) as port:
        yield port, asked


def realise(user: User, port: int, file: Path | None) -> subprocess.CompletedProcess[str]:
    """What the user's Nix makes of the private cache with the fragment, whose netrc is `file`."""
    (user.root / "home/.config/nix/nix.conf").write_text("")
    target = SubstituterTarget(parse_endpoint(f"http://localhost:{port}"), (str(nix_caches.KEY.public_key),))
    fragment = user.root / "nix.conf"
    fragment.write_text(nixconf.render(target, user.settings(None), netrc_file=file))
    assert TOKEN not in fragment.read_text()
    config = nixconf.include_line(fragment)
    shown = user.run(str(user.nix.path), "show-config", "--json", config=config)
    assert TOKEN not in shown.stdout + shown.stderr
    return user.store("nix-store", "-r", str(nix_caches.SIGNED), "--max-jobs", "0", config=config)


def written(user: User, *entries: tuple[str, str, str]) -> Path:
    file = user.root / "netrc"
    file.write_text("".join(netrc.entry(*entry) for entry in entries))
    file.chmod(0o600)
    return file


def test_the_netrc_of_the_fragment_carries_the_token_to_a_private_cache(user: User) -> None:
    """Beside an entry of the user's own: the one file that Nix reads has to hold both."""
    others = ("elsewhere.example", "me", "mine")
    file = written(user, others, ("localhost", netrc.TOKEN_USER, TOKEN))
    with private_cache() as (port, asked):
        done = realise(user, port, file)
    assert done.returncode == 0, done.stderr
    assert [credentials(head) for head in asked] == [TOKEN] * 3
    assert TOKEN not in done.stderr


@pytest.mark.parametrize("entry", [None, "elsewhere.example", "with a port"])
def test_without_an_entry_for_its_name_the_cache_is_no_cache_to_nix(user: User, entry: str | None) -> None:
    with private_cache() as (port, _):
        host = f"localhost:{port}" if entry == "with a port" else entry
        file = None if host is None else written(user, (host, netrc.TOKEN_USER, TOKEN))
        done = realise(user, port, file)
    assert done.returncode != 0
    assert any(words in done.stderr for words in ("not appear to be a binary cache", "HTTP error 401"))


def test_a_token_stays_with_the_name_that_it_is_for(user: User) -> None:
    """A NAR that is redirected to another name on this machine is fetched there without it."""
    asked_elsewhere: list[bytes] = []
    info = nix_caches.signed_info()
    nar = nix_caches.publishing(info)[f"/{info.url}"]
    file = written(user, ("localhost", netrc.TOKEN_USER, TOKEN))
    with nix_caches.serving({"/object": nar}, requests=asked_elsewhere) as elsewhere:
        with private_cache(redirected_to=elsewhere) as (port, _):
            done = realise(user, port, file)
    assert done.returncode == 0, done.stderr
    assert len(asked_elsewhere) == 1 and credentials(asked_elsewhere[0]) == ""
