"""What a real nix-daemon lets a user do, asked by the probes: the daemon has a store of its own, and the
client is somebody who owns nothing."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.files import remove_tree
from gfattach.core.finding import Finding, Status
from gfattach.fragments import nixconf
from gfattach.nix.program import Nix, run
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.nix.stage import STAGE, NixSubject
from tests.harness.machine.nixes import (
    NIX_SECONDS,
    NOBODY,
    BinaryCache,
    daemon,
    for_others,
    make_cache,
    real_nix,
    serving_files,
)

pytestmark = [
    pytest.mark.nix,
    pytest.mark.usefixtures("untouched"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the daemon's store needs Linux"),
]

URL = "http://127.0.0.1:18080/main"
KEY = "team-1:YlVMkO4uByIAZeB8im8KP4qkmlGLegZglf53WwLkeJY="
TARGET = SubstituterTarget(parse_endpoint(URL), (KEY,))


@pytest.fixture(scope="module")
def nix() -> Nix:
    return real_nix()


@pytest.fixture(scope="module")
def each(each_nix) -> Nix:
    """Every Nix in turn, for what may depend on its version."""
    return real_nix()


@pytest.fixture(scope="module")
def made(each, tmp_path_factory) -> BinaryCache:
    return make_cache(each, tmp_path_factory.mktemp("made"))


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path that everybody can enter: a socket goes into it."""
    directory = Path(tempfile.mkdtemp(prefix="gfa-nix."))
    directory.chmod(0o755)
    yield directory
    remove_tree(directory)


def other(nix: Nix) -> bool:
    """Whether the client is another user than this one: where this is root, and others can run `nix`."""
    return os.getuid() == 0 and for_others(nix)


def somebody(nix: Nix) -> str:
    """The name of the client's user."""
    return pwd.getpwuid(NOBODY if other(nix) else os.getuid()).pw_name


def as_somebody(nix: Nix, place: Path) -> Path:
    """A program that is `nix`, run by a user who is not root; it is itself where that is so already."""
    if not other(nix):
        return nix.path
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv: apt-get install util-linux")
    program = place / "nix"
    become = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    program.write_text(f'#!/bin/sh\nexec {become} {nix.path} "$@"\n')
    program.chmod(0o755)
    return program


def ask(
    nix: Nix, place: Path, target: SubstituterTarget | None = TARGET, **settings: Any
) -> dict[str, Finding]:
    """What the probes find for a user of a daemon with `settings`, which trusts nobody unless they say so."""
    with daemon(nix, place / "daemon", **{"trusted_users": "", **settings}) as served:
        if other(nix):
            os.chown(served.directory / "user", NOBODY, NOBODY)
        subject = NixSubject(program=str(as_somebody(nix, place)), target=target, environ=served.environment)
        return dict(Run().stage(STAGE, subject).findings)


def listed(url: str = URL, key: str = KEY) -> dict[str, str]:
    return {"trusted_substituters": url, "trusted_public_keys": key}


def test_the_mode_is_a_daemon_that_answers(nix, place):
    found = ask(nix, place)
    assert found["nix.mode"].code == "nix.mode.daemon"
    assert found["nix.mode"].data["socket"] == str(place / "daemon" / "socket")
    assert found["nix.program"].data["version"] == nix.version


def test_an_untrusted_user_is_given_the_lines_for_the_administrator(each, place):
    finding = ask(each, place)["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.untrusted", Status.WARN)
    assert f"extra-trusted-substituters = {URL}" in finding.hints
    assert f"extra-trusted-public-keys = {KEY}" in finding.hints
    assert str(place / "daemon" / "conf" / "nix.conf") in finding.hints[0]
    assert "nix-daemon" in finding.hints[-1]
    assert not any("trusted-users" in hint for hint in finding.hints)


def test_the_lines_for_the_administrator_are_all_it_takes(nix, place):
    """Each hint that is a setting goes into nix.conf as it stands, and the user may then substitute."""
    lines = [hint for hint in ask(nix, place)["nix.trust"].hints if " = " in hint]
    settings = {name.replace("-", "_"): value for name, _, value in (line.partition(" = ") for line in lines)}
    assert set(settings) == {"extra_trusted_substituters", "extra_trusted_public_keys"}
    assert ask(nix, place, **settings)["nix.trust"].code == "nix.trust.listed"  # type: ignore[arg-type]


def test_a_user_whom_the_daemon_trusts_needs_nothing(nix, place):
    finding = ask(nix, place, trusted_users=f"daemon {somebody(nix)}")["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.ok", Status.OK)


def test_what_the_administrator_has_listed_is_good(nix, place):
    assert ask(nix, place, **listed())["nix.trust"].code == "nix.trust.listed"  # type: ignore[arg-type]


def test_what_everybody_substitutes_from_is_good(nix, place):
    found = ask(nix, place, substituters=URL, trusted_public_keys=KEY)
    assert found["nix.trust"].code == "nix.trust.listed"


def test_a_key_that_is_not_listed_is_named(nix, place):
    finding = ask(nix, place, trusted_substituters=URL)["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.key", Status.WARN)
    assert f"extra-trusted-public-keys = {KEY}" in finding.hints


@pytest.mark.parametrize("spelling", [f"{URL}?priority=10", URL.upper().replace("/MAIN", "/main")])
def test_a_listing_in_another_spelling_does_not_count_and_is_shown(nix, place, spelling):
    finding = ask(nix, place, **listed(url=spelling))["nix.trust"]  # type: ignore[arg-type]
    assert finding.code == "nix.trust.untrusted"
    assert spelling in finding.why
    assert "letter by letter" in finding.why


def test_without_a_substituter_trust_alone_is_said(nix, place):
    finding = ask(nix, place, target=None)["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.untrusted", Status.WARN)


def test_a_daemon_that_is_dead_fails_with_what_starts_it(nix, place):
    with daemon(nix, place / "daemon") as served:
        environ = served.environment
    assert served.socket.exists()
    subject = NixSubject(program=str(as_somebody(nix, place)), target=TARGET, environ=environ)
    found = Run().stage(STAGE, subject).findings
    assert (found["nix.mode"].code, found["nix.mode"].status) == ("nix.mode.daemon-dead", Status.FAIL)
    assert "nix-daemon" in found["nix.mode"].hints[0]
    assert found["nix.trust"].status is Status.SKIP


def test_a_user_whom_the_daemon_does_not_let_in_is_told_so(each, place):
    """The daemon itself only hangs up."""
    with daemon(each, place / "daemon", allowed_users="daemon", trusted_users="daemon") as served:
        if other(each):
            os.chown(served.directory / "user", NOBODY, NOBODY)
        program = as_somebody(each, place)
        found = (
            Run()
            .stage(STAGE, NixSubject(program=str(program), target=TARGET, environ=served.environment))
            .findings
        )
        args = ("--extra-experimental-features", "nix-command", "store", "ping")
        done = run(program, args, Deadline.after(NIX_SECONDS), served.environment)
    assert (found["nix.trust"].code, found["nix.trust"].status) == ("nix.trust.refused", Status.FAIL)
    assert not done.good and "allowed" not in done.stderr


#: What an administrator may have listed: the substituter and its key as they stand, or nearly so, and what
#: comes of it.
LISTINGS = [
    ({"trusted_substituters": "{url}", "trusted_public_keys": "{key}"}, "nix.trust.listed", ""),
    ({"substituters": "{url}", "trusted_public_keys": "{key}"}, "nix.trust.listed", ""),
    ({"trusted_substituters": "{url}/", "trusted_public_keys": "{key}"}, "nix.trust.listed", ""),
    ({}, "nix.trust.untrusted", "ignoring untrusted substituter '{url}'"),
    ({"trusted_public_keys": "{key}"}, "nix.trust.untrusted", "ignoring untrusted substituter '{url}'"),
    (
        {"trusted_substituters": "{url}?priority=10", "trusted_public_keys": "{key}"},
        "nix.trust.untrusted",
        "ignoring untrusted substituter '{url}'",
    ),
    ({"trusted_substituters": "{url}"}, "nix.trust.key", "not signed by any of the keys"),
]


@pytest.mark.parametrize(("listing", "code", "says"), LISTINGS)
def test_what_the_probe_says_is_what_the_daemon_does(each, made, place, listing, code, says):
    """The fragment is read by the user's own Nix, and the daemon substitutes, or does not and says why."""
    with serving_files(made.directory) as port:
        target = replace(
            TARGET, endpoint=parse_endpoint(f"http://127.0.0.1:{port}"), public_keys=(made.public_key,)
        )
        url = nixconf.substituter_url(target.endpoint)
        fragment = place / "fragment.conf"
        fragment.write_text(nixconf.render(target, None))
        fragment.chmod(0o644)
        settings = {name: value.format(url=url, key=made.public_key) for name, value in listing.items()}
        with daemon(each, place / "daemon", trusted_users="", **settings) as served:
            if other(each):
                os.chown(served.directory / "user", NOBODY, NOBODY)
            program = as_somebody(each, place)
            environ = {**served.environment, "NIX_CONFIG": nixconf.include_line(fragment)}
            found = (
                Run()
                .stage(
                    STAGE, NixSubject(program=str(program), target=target, fragment=fragment, environ=environ)
                )
                .findings
            )
            args = ("--option", "extra-experimental-features", "nix-command", "build", "--no-link")
            done = run(
                program, (*args, "--max-jobs", "0", made.signed_path), Deadline.after(NIX_SECONDS), environ
            )
            substituted = (served.directory / "root" / made.signed_path.lstrip("/")).exists()
    assert found["nix.substituters"].code == "nix.substituters.ok"
    allowed = code == "nix.trust.listed"
    assert found["nix.trust"].code == code
    assert (done.good, substituted) == (allowed, allowed), done.stderr
    assert says.format(url=url) in done.stderr
