"""Addresses of caches that Nixes write in different ways: what the fragment says is read and asked by
each.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any
from urllib.parse import unquote

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Stage
from gfattach.fragments import nixconf
from gfattach.nix.program import Nix, nix_store
from gfattach.nix.uri import alike, rewritten, same_cache
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.nix.stage import STAGE, NixSubject
from gfattach.proof.nix import phases
from tests.harness.machine.nixes import NIX_SECONDS, daemon, private_environment, real_nix
from tests.harness.substituters import binary_caches as nix_caches
from tests.harness.substituters.binary_caches import KEY, SIGNED

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

RIGHT = str(KEY.public_key)
GOOD = nix_caches.publishing(nix_caches.signed(nix_caches.signed_info(), KEY))
ASKED = Stage(
    "nix",
    "Nix",
    tuple(p for p in STAGE.probes if p.name in ("nix.program", "nix.starts", "nix.substituters")),
)

#: The path of a cache, as somebody writes it.
PATHS = [
    "/main",
    "/my+cache",
    "/a=b,c;d",
    "/t!l$d&r'(s)*",
    "/~user/cache",
    "/c@2:b/a%2Bb",
    "/a%7eb",
    "/a|b^[0]`",
    "/100%",
    "/ünï",
]


@pytest.fixture(scope="module")
def nix(each_nix) -> Nix:
    return real_nix()


@pytest.mark.parametrize("path", PATHS)
def test_a_cache_below_this_path_is_attached_read_and_hit(nix, tmp_path, path):
    heads: list[bytes] = []

    class Routes(dict):
        """By the path as a server reads it, escapes undone."""

        def get(self, key, default=None):
            below = unquote(key).removeprefix(unquote(path))
            return GOOD.get(below, default) if below != unquote(key) else default

    with nix_caches.serving(Routes(), requests=heads) as port:
        target = SubstituterTarget(parse_endpoint(f"http://127.0.0.1:{port}{path}"), (RIGHT,), str(SIGNED))
        environ = private_environment(tmp_path)
        fragment = tmp_path / "fragment.conf"
        fragment.write_text(nixconf.render(target, None))
        activated = {
            **environ,
            "NIX_CONFIG": nixconf.include_line(fragment),
            "NIX_REMOTE": f"local?root={tmp_path / 'root'}",
        }
        found = (
            Run()
            .stage(
                ASKED, NixSubject(program=str(nix.path), target=target, fragment=fragment, environ=activated)
            )
            .findings
        )
        assert {name: finding.code for name, finding in found.items()} == {
            "nix.program": "nix.program.ok",
            "nix.starts": "nix.starts.ok",
            "nix.substituters": "nix.substituters.ok",
        }
        args: list[Any] = [nix_store(nix), "--realise", str(SIGNED), "--max-jobs", "0"]
        done = subprocess.run(args, env=activated, capture_output=True, text=True, timeout=NIX_SECONDS)
        assert done.returncode == 0, done.stderr
        phase = phases.hit(
            nix, target, tmp_path / "work", deadline=Deadline.after(NIX_SECONDS), environ=os.environ
        )
    assert (phase.hits, phase.violations) == (1, ())


@pytest.mark.parametrize(
    ("listed", "path", "code"),
    [
        ("/my+cache", "/my+cache", "listed"),
        ("/main/", "/main", "listed"),
        ("/a=b", "/a=b", "listed"),
        ("/~x/main", "/~x/main", "listed"),
        ("/mains", "/main", "untrusted"),
        ("/main?priority=10", "/main", "untrusted"),
    ],
)
def test_a_daemon_that_lists_it_is_heard_as_this_nix_hears_it(nix, tmp_path_factory, listed, path, code):
    """Root is whom the daemon does not trust here."""
    url = f"http://127.0.0.1:9{path}"
    target = SubstituterTarget(parse_endpoint(url), (RIGHT,))
    lists = {"trusted_substituters": f"http://127.0.0.1:9{listed}", "trusted_public_keys": RIGHT}
    with daemon(nix, tmp_path_factory.mktemp("d"), trusted_users="", **lists) as served:
        subject = NixSubject(program=str(nix.path), target=target, environ=served.environment)
        found = Run().stage(STAGE, subject).findings["nix.trust"]
    assert found.code == f"nix.trust.{code}", found
    if code == "untrusted":
        assert f"extra-trusted-substituters = {nixconf.substituter_url(target.endpoint)}" in found.hints


def test_what_is_alike_is_what_this_nix_shows(nix, tmp_path):
    """The names that it shows for ours are alike ours, and those of others are not."""
    urls = [nixconf.substituter_url(parse_endpoint(f"http://127.0.0.1:9{path}")) for path in PATHS]
    environ = {**private_environment(tmp_path), "NIX_CONFIG": f"substituters = {' '.join(urls)}"}
    subject = NixSubject(program=str(nix.path), target=None, environ=environ)
    names = Run().stage(ASKED, subject).findings["nix.substituters"].data["substituters"]
    assert len(names) == len(urls)
    for name, url in zip(names, urls, strict=True):
        assert alike(name, url) and same_cache(name, url)
        assert name in (url, rewritten(url))
        assert not any(alike(name, other) for other in urls if rewritten(other) != rewritten(url))
