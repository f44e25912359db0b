"""The probes of Nix, asked of a real one whose configuration, store and memory are the test's own."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, Status
from gfattach.fragments import nixconf
from gfattach.nix.config import read_settings
from gfattach.nix.program import Nix, nix_store, run
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.nix.stage import STAGE, NixSubject
from tests.harness.machine.nixes import NIX_SECONDS, private_environment, real_nix, untouched  # noqa: F401
from tests.harness.substituters import binary_caches as nix_caches

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

URL = "http://127.0.0.1:18080/main"
TARGET = SubstituterTarget(
    parse_endpoint(URL), ("team-1:YlVMkO4uByIAZeB8im8KP4qkmlGLegZglf53WwLkeJY=",), headers=()
)


@pytest.fixture(scope="module")
def nix(each_nix) -> Nix:
    return real_nix()


@pytest.fixture
def environ(tmp_path) -> dict[str, str]:
    """An environment in which Nix, left to itself, keeps to the test's directory."""
    own = private_environment(tmp_path / "own")
    return {**own, "NIX_REMOTE": f"local?root={tmp_path / 'own' / 'root'}"}


def ask(
    nix: Nix, environ: dict[str, str], target: SubstituterTarget | None = TARGET, **fields
) -> dict[str, Finding]:
    subject = NixSubject(program=str(nix.path), target=target, environ=environ, **fields)
    return dict(Run().stage(STAGE, subject).findings)


def test_a_nix_that_is_to_be_attached_passes_every_probe(nix, environ):
    found = ask(nix, environ)
    assert {name: finding.status for name, finding in found.items() if finding.status is not Status.OK} == {}
    assert found["nix.program"].data["version"] == nix.version
    assert found["nix.mode"].code == "nix.mode.direct"


def test_asking_makes_no_store(nix, environ, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    ask(nix, {**environ, "NIX_REMOTE": ""})
    assert sorted(tmp_path.rglob("*")) == before


def test_every_setting_of_the_fragment_is_one_that_this_nix_knows(nix, environ):
    known = read_settings(nix, Deadline.after(NIX_SECONDS), environ).known
    assert known >= nixconf.UNIVERSAL_SETTINGS
    assert "no-such-setting" not in known


def test_the_settings_are_those_in_force(nix, environ):
    configured = {**environ, "NIX_CONFIG": f"substituters = https://a https://b\nextra-substituters = {URL}"}
    settings = read_settings(nix, Deadline.after(NIX_SECONDS), configured)
    assert settings.words("substituters") == ("https://a", "https://b", URL)
    assert settings.setting("require-sigs") is True
    assert settings.setting("no-such-setting", "none") == "none"


def test_a_configuration_that_nix_cannot_read_fails(nix, environ):
    found = ask(nix, {**environ, "NIX_CONFIG": "garbage"})
    assert found["nix.program"].status is Status.OK
    assert (found["nix.starts"].code, found["nix.starts"].status) == ("nix.starts.configuration", Status.FAIL)
    assert "garbage" in found["nix.starts"].seen


def fragment_of(tmp_path: Path, target: SubstituterTarget = TARGET) -> Path:
    fragment = tmp_path / "fragment.conf"
    fragment.write_text(nixconf.render(target, None))
    return fragment


def test_a_fragment_that_is_read_last_is_effective(nix, environ, tmp_path):
    fragment = fragment_of(tmp_path)
    activated = {**environ, "NIX_CONFIG": f"substituters = https://a\n{nixconf.include_line(fragment)}"}
    found = ask(nix, activated, fragment=fragment)
    assert found["nix.substituters"].code == "nix.substituters.ok"
    assert found["nix.timeouts"].code == "nix.timeouts.ok"
    assert found["nix.timeouts"].data["connect-timeout"] == nixconf.CONNECT_SECONDS


def test_a_plain_setting_after_the_fragment_wipes_it(nix, environ, tmp_path):
    fragment = fragment_of(tmp_path)
    activated = {**environ, "NIX_CONFIG": f"{nixconf.include_line(fragment)}\nsubstituters = https://a"}
    assert ask(nix, activated, fragment=fragment)["nix.substituters"].code == "nix.substituters.wiped"


def test_a_plain_setting_of_keys_after_the_fragment_wipes_them(nix, environ, tmp_path):
    fragment = fragment_of(tmp_path)
    activated = {**environ, "NIX_CONFIG": f"{nixconf.include_line(fragment)}\ntrusted-public-keys = "}
    found = ask(nix, activated, fragment=fragment)
    assert found["nix.substituters"].code == "nix.substituters.ok"
    assert found["nix.keys"].code == "nix.keys.wiped"


def test_of_two_keys_of_one_name_nix_goes_by_the_first_as_the_finding_says(nix, environ, tmp_path):
    info = nix_caches.signed(nix_caches.signed_info(), nix_caches.KEY)
    right = str(nix_caches.KEY.public_key)
    wrong = f"{nix_caches.KEY.name}:{nix_caches.OTHER_KEY.public_key}".replace("other-1:", "")
    outcomes = {}
    with nix_caches.serving(nix_caches.publishing(info)) as port:
        target = SubstituterTarget(parse_endpoint(f"http://127.0.0.1:{port}"), (right,))
        fragment = fragment_of(tmp_path, target)
        for first in (wrong, ""):
            config = f"extra-trusted-public-keys = {first}\n{nixconf.include_line(fragment)}"
            activated = {**environ, "NIX_CONFIG": config}
            code = ask(nix, activated, target, fragment=fragment)["nix.keys"].code
            args = ["--realise", str(nix_caches.SIGNED), "--max-jobs", "0"]
            done = run(nix_store(nix), args, Deadline.after(NIX_SECONDS), activated)
            outcomes[code] = done.good
    assert outcomes == {"nix.keys.hidden": False, "nix.keys.ok": True}


def test_a_fragment_that_is_emptied_for_now_is_judged_by_what_it_will_say(nix, environ, tmp_path):
    fragment = tmp_path / "fragment.conf"
    fragment.write_text(nixconf.emptied())
    include = nixconf.include_line(fragment)
    for config, code in (
        (f"substituters = https://a\n{include}", "nix.substituters.ok"),
        (f"{include}\nsubstituters = https://a", "nix.substituters.wiped"),
    ):
        found = ask(nix, {**environ, "NIX_CONFIG": config}, fragment=fragment)
        assert found["nix.substituters"].code == code


def test_without_limits_a_wait_is_long_or_without_end(nix, environ):
    """What this Nix does when nobody sets a limit: 0 up to 2.28, 5 seconds and five attempts from then on."""
    finding = ask(nix, environ, target=None)["nix.timeouts"]
    assert finding.code in ("nix.timeouts.unbounded", "nix.timeouts.long")
    assert finding.status is Status.WARN


def test_a_path_that_nix_was_told_is_missing_is_remembered_against_the_cache(nix, environ):
    """A real Nix asks a cache without the path, remembers that, and the probe finds it."""
    with nix_caches.serving({"/nix-cache-info": nix_caches.answer(nix_caches.INFO)}) as port:
        target = replace(TARGET, endpoint=parse_endpoint(f"http://127.0.0.1:{port}"))
        assert ask(nix, environ, target)["nix.negative-cache"].code == "nix.negative-cache.ok"
        url = nixconf.substituter_url(target.endpoint)
        args = ["--realise", target.probe_path, "--max-jobs", "0", "--option", "substituters", url]
        done = run(nix_store(nix), args, Deadline.after(NIX_SECONDS), environ)
        assert not done.good
        finding = ask(nix, environ, target)["nix.negative-cache"]
    assert (finding.code, finding.status) == ("nix.negative-cache.stale", Status.WARN)
    assert finding.data["path"] == target.probe_path
    assert 0 <= finding.data["age"] < NIX_SECONDS


def test_the_hint_against_a_stale_memory_works(nix, environ):
    """The path is pushed after Nix was told that it is missing: plain Nix misses it, the hint gets it."""
    info = nix_caches.signed(nix_caches.probe_info(), nix_caches.KEY)
    routes = {"/nix-cache-info": nix_caches.answer(nix_caches.INFO)}
    with nix_caches.serving(routes) as port:
        target = replace(TARGET, endpoint=parse_endpoint(f"http://127.0.0.1:{port}"))
        options = ["--max-jobs", "0", "--option", "substituters", nixconf.substituter_url(target.endpoint)]
        realise = [nix_store(nix), "--realise", target.probe_path, *options]
        assert subprocess.run(realise, env=environ, capture_output=True, timeout=NIX_SECONDS).returncode != 0  # type: ignore[arg-type]
        hint = next(h for h in ask(nix, environ, target)["nix.negative-cache"].hints if "nix-store" in h)
        routes.update(nix_caches.publishing(info))  # type: ignore[arg-type]
        assert subprocess.run(realise, env=environ, capture_output=True, timeout=NIX_SECONDS).returncode != 0  # type: ignore[arg-type]
        time.sleep(1.1)  # the memory counts in whole seconds
        hinted = [nix_store(nix), *hint.split()[1:], *options]
        done = subprocess.run(hinted, env=environ, capture_output=True, text=True, timeout=NIX_SECONDS)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr
