"""Whose netrc a real nix-daemon reads for a user, and what the probe says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.fragments import nixconf
from gfattach.nix import netrc
from gfattach.nix.program import run
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.nix.stage import STAGE, NixSubject
from tests.harness.machine.nixes import NIX_SECONDS, NOBODY, daemon, real_nix, untouched  # noqa: F401
from tests.harness.substituters.attic import KEY, SIGNED, attic, sent, token
from tests.integration.test_nix_trust import as_somebody, other, place, somebody

__all__ = ["place"]

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]


def readable(path: Path, text: str, mode: int = 0o644) -> Path:
    """A file of the user's."""
    path.write_text(text)
    path.chmod(mode)
    if os.getuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "listed"])
def test_a_token_of_the_users_goes_along_for_one_whom_the_daemon_trusts(each_nix, place, trusted):
    nix, good = real_nix(), token()
    with attic({good}) as (port, asked):
        headers = (("authorization", f"Bearer {good}"),)
        endpoint = parse_endpoint(f"http://localhost:{port}/main")
        target = SubstituterTarget(endpoint, (KEY,), headers=headers)
        own = readable(place / "netrc", netrc.entry("localhost", netrc.TOKEN_USER, good), 0o600)
        fragment = readable(place / "nix.conf", nixconf.render(target, None, netrc_file=own))
        listed = {"trusted_substituters": nixconf.substituter_url(endpoint), "trusted_public_keys": KEY}
        settings = {"trusted_users": somebody(nix)} if trusted else {**listed, "trusted_users": ""}
        with daemon(nix, place / "daemon", **settings) as served:
            if other(nix):
                os.chown(served.directory / "user", NOBODY, NOBODY)
            environ = {**served.environment, "NIX_CONFIG": nixconf.include_line(fragment)}
            program = as_somebody(nix, place)
            subject = NixSubject(
                program=str(program), target=target, fragment=fragment, environ=environ, netrc_given=True
            )
            finding = Run().stage(STAGE, subject).findings["nix.netrc"]
            args = ("--option", "extra-experimental-features", "nix-command", "build", "--no-link", SIGNED)
            done = run(program, (*args, "--max-jobs", "0"), Deadline.after(NIX_SECONDS), environ)
    assert finding.code == ("nix.netrc.ok" if trusted else "nix.netrc.daemon")
    assert done.good == trusted, done.stderr
    assert {sent(head) for head in asked} == {good if trusted else ""}
