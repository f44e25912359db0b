"""What a Nix remembers of a cache that has changed its key or is another one now, and how it forgets it."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from msgspec.structs import replace

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, Status
from gfattach.nix import narinfo_cache
from gfattach.nix.program import Nix, nix_store
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.nix.stage import MEMORY_STAGE, NixSubject
from tests.harness.machine.developer import findings
from tests.harness.machine.nixes import NIX_SECONDS, private_environment, real_nix
from tests.harness.substituters import binary_caches as nix_caches
from tests.harness.substituters.binary_caches import KEY, OTHER_KEY, PROBE, SIGNED, answer

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

RIGHT = str(KEY.public_key)
GOOD = nix_caches.publishing(nix_caches.signed(nix_caches.signed_info(), KEY))
OTHERS = nix_caches.publishing(nix_caches.signed(nix_caches.signed_info(), OTHER_KEY))
UNSIGNED = nix_caches.publishing(nix_caches.signed_info())
#: The same signature under the name of the key that is trusted.
FORGED = nix_caches.publishing(
    replace(
        nix_caches.signed_info(),
        signatures=(
            nix_caches.signed(nix_caches.signed_info(), OTHER_KEY)
            .signatures[0]
            .replace(OTHER_KEY.name, KEY.name),
        ),
    )
)


@pytest.fixture(scope="module")
def nix(each_nix) -> Nix:
    return real_nix()


class User:
    """Somebody whose Nix takes from one cache, and trusts its key."""

    def __init__(self, nix: Nix, root, url: str) -> None:
        self.nix, self.url = nix, url
        environ = private_environment(root, substituters=url, trusted_public_keys=RIGHT)
        self.environ = {**environ, "NIX_REMOTE": f"local?root={root / 'root'}"}

    def takes(self, *options: str) -> bool:
        """Whether it takes the signed path from the cache."""
        args: list[Any] = [nix_store(self.nix), "--realise", str(SIGNED), "--max-jobs", "0", *options]
        done = subprocess.run(args, env=self.environ, capture_output=True, timeout=NIX_SECONDS)
        return done.returncode == 0

    def asked(self) -> Finding:
        target = SubstituterTarget(parse_endpoint(self.url), (RIGHT,))
        subject = NixSubject(program=str(self.nix.path), target=target, environ=self.environ)
        return Run().stage(MEMORY_STAGE, subject).findings["nix.remembered"]

    def files(self) -> set[str]:
        directory = narinfo_cache.cache_directory(self.environ)
        return {path.name for path in directory.iterdir()} if directory.exists() else set()


@pytest.mark.parametrize("before", [OTHERS, UNSIGNED, FORGED], ids=["another key", "unsigned", "same name"])
def test_signatures_of_before_are_told_and_the_hint_has_nix_take_from_the_cache(nix, tmp_path, before):
    routes = dict(before)
    with nix_caches.serving(routes) as port:
        user = User(nix, tmp_path, f"http://127.0.0.1:{port}")
        assert not user.takes()
        assert user.asked().code == "nix.remembered.ok", "the cache says the same still: not the memory's"
        routes.update(GOOD)
        assert not user.takes(), "it goes by what it remembers"
        files = user.files()
        finding = user.asked()
        assert (finding.code, finding.status) == ("nix.remembered.other-key", Status.WARN)
        assert finding.data["paths"] == [str(SIGNED)]
        assert user.files() == files, "looking leaves no file"
        command = next(hint for hint in finding.hints if "rm -f" in hint).partition(": ")[2]
        subprocess.run(["sh", "-c", command], check=True, timeout=NIX_SECONDS)
        assert user.takes()
        assert user.asked().code == "nix.remembered.ok"


def test_the_hint_for_one_command_works_too(nix, tmp_path):
    routes = dict(OTHERS)
    with nix_caches.serving(routes) as port:
        user = User(nix, tmp_path, f"http://127.0.0.1:{port}")
        assert not user.takes()
        routes.update(GOOD)
        hint = user.asked().hints[-1]
        assert user.takes(*hint.partition(": ")[2].split())


def test_a_path_of_another_cluster_that_this_one_has_not_got_is_told(nix, tmp_path):
    routes = dict(OTHERS)
    with nix_caches.serving(routes) as port:
        user = User(nix, tmp_path, f"http://127.0.0.1:{port}")
        assert not user.takes()
        routes.clear()
        routes["/nix-cache-info"] = answer(nix_caches.INFO)
        assert user.asked().code == "nix.remembered.other-key"


def test_what_is_right_or_needs_no_signature_is_clear(nix, tmp_path):
    routes = {**GOOD, **nix_caches.publishing(nix_caches.probe_info())}
    with nix_caches.serving(routes) as port:
        user = User(nix, tmp_path, f"http://127.0.0.1:{port}")
        assert user.takes() and user.takes(str(PROBE))
        assert user.asked().code == "nix.remembered.ok"


def test_a_memory_that_nix_is_told_not_to_believe_is_clear(nix, tmp_path):
    routes = dict(OTHERS)
    with nix_caches.serving(routes) as port:
        user = User(nix, tmp_path, f"http://127.0.0.1:{port}")
        assert not user.takes()
        routes.update(GOOD)
        user.environ["NIX_CONFIG"] = "narinfo-cache-positive-ttl = 0"
        assert user.asked().code == "nix.remembered.ok"


def test_up_and_status_tell_of_a_key_that_changed(nix, machine):
    """Everything else of the attachment is well."""
    routes = dict(OTHERS)
    with nix_caches.serving(routes) as port:
        url = f"http://127.0.0.1:{port}"
        user = User(nix, machine.root / "nix", url)
        assert not user.takes()
        routes.update(GOOD)
        names = ("NIX_", "XDG_CACHE_HOME")
        machine.variables |= {k: v for k, v in user.environ.items() if k.startswith(names)}
        site = ("--substituter", url, "--public-key", RIGHT, "--no-bazel")
        for command in (("up", *site), ("status",)):
            found = findings(machine.json(*command))
            assert found["nix.remembered"]["code"] == "nix.remembered.other-key"
