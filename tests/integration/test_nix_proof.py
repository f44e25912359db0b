"""A first hit proved with a real Nix: against caches that it made itself, that the trial serves, and that
are wrong in one way each. The machine's own Nix is left as it was."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import ProgramMissingError, UnprovedError, UsageError
from gfattach.nix.program import Nix
from gfattach.nixcache.target import SubstituterTarget
from gfattach.proof.evidence import Client, PhaseName
from gfattach.proof.nix.phases import control, hit
from gfattach.proof.verdict import Verdict, judge
from gfattach.trial.nix_server import NixCacheServer
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.nixes import (
    NIX_SECONDS,
    NOBODY,
    UNPUBLISHED,
    BinaryCache,
    make_cache,
    real_nix,
    serving_files,
)
from tests.harness.substituters import binary_caches as nix_caches

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

#: A key that is none of the tests', by the name of one that is.
WRONG_KEY = "gfattach-test-1:YlVMkO4uByIAZeB8im8KP4qkmlGLegZglf53WwLkeJY="


@pytest.fixture(scope="module")
def nix() -> Nix:
    return real_nix()


@pytest.fixture(scope="module")
def each(each_nix) -> Nix:
    """Every Nix in turn, for what may depend on its version."""
    return real_nix()


@pytest.fixture(scope="module")
def made(nix, tmp_path_factory) -> BinaryCache:
    return make_cache(nix, tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def served(made) -> Iterator[SubstituterTarget]:
    """The cache that Nix made, served as files."""
    with serving_files(made.directory) as port:
        yield target(port, made.public_key, made.signed_path)


def target(port: int, *keys: str, **fields) -> SubstituterTarget:
    *keys, signed = keys if len(keys) > 1 else (*keys, None)  # type: ignore[assignment]
    fields = {"signed_path": signed, "public_keys": tuple(keys), **fields}
    return SubstituterTarget(parse_endpoint(f"http://127.0.0.1:{port}"), **fields)


def late() -> Deadline:
    return Deadline.after(NIX_SECONDS)


def test_paths_of_a_cache_that_nix_made_are_hits(nix, served, tmp_path):
    told = []
    phase = hit(nix, served, tmp_path, deadline=late(), progress=told.append, environ=os.environ)
    assert (phase.client, phase.name, phase.asked, phase.hits, phase.local) == (
        Client.NIX,
        PhaseName.HIT,
        2,
        2,
        0,
    )
    assert phase.violations == ()
    assert phase.detail["key_proved"] is True
    assert set(phase.detail["paths"].values()) == {"hit"}
    assert phase.started < phase.first_hit < phase.started + phase.seconds
    assert set(phase.detail["stages"]) == {"start", "info", "narinfo", "nar"}
    assert phase.detail["bytes"] > 100
    assert phase.rpcs["GET nar"] == 2
    assert len(told) == 2
    assert (
        judge(
            Client.NIX, [phase, control(nix, served, tmp_path, deadline=late(), environ=os.environ)]
        ).verdict
        is Verdict.PROVED
    )


def test_nothing_of_a_leg_is_left(nix, served, tmp_path):
    hit(nix, served, tmp_path / "work", deadline=late(), environ=os.environ)
    control(nix, served, tmp_path / "work", deadline=late(), environ=os.environ)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_second_leg_finds_as_little_as_the_first(nix, served, tmp_path):
    first, second = (hit(nix, served, tmp_path, deadline=late(), environ=os.environ) for _ in range(2))
    assert first.rpcs == second.rpcs
    assert first.hits == second.hits == 2


def test_the_trials_cache_is_proved_with_its_key(each, tmp_path):
    with NixCacheServer(tmp_path / "trial") as server:
        trial = target(server.port, server.public_key, server.signed_path)
        phase = hit(each, trial, tmp_path / "work", deadline=late(), environ=os.environ)
        withheld = control(each, trial, tmp_path / "work", deadline=late(), environ=os.environ)
    assert (phase.hits, phase.asked, phase.detail["key_proved"]) == (2, 2, True)
    assert (withheld.hits, withheld.first_hit, withheld.violations) == (0, None, ())
    assert judge(Client.NIX, [phase, withheld]).verdict is Verdict.PROVED


def test_the_probe_path_alone_proves_the_transport_and_not_the_key(nix, served, tmp_path):
    phase = hit(nix, target(served.endpoint.port), tmp_path, deadline=late(), environ=os.environ)
    assert (phase.hits, phase.asked) == (1, 1)
    assert phase.detail["key_proved"] is False
    assert "content-addressed" in phase.detail["key_reason"]


def test_a_wrong_key_proves_the_transport_and_says_what_was_refused(nix, made, served, tmp_path):
    wrong = target(served.endpoint.port, WRONG_KEY, made.signed_path)
    phase = hit(nix, wrong, tmp_path, deadline=late(), environ=os.environ)
    assert (phase.hits, phase.asked, phase.detail["key_proved"]) == (1, 2, False)
    assert phase.detail["paths"][made.signed_path] == "not-signed"
    assert judge(Client.NIX, [phase]).verdict is Verdict.UNPROVED


@pytest.mark.parametrize("key", [WRONG_KEY, WRONG_KEY.replace("test-1", "other-1"), ""])
def test_a_wrong_key_and_no_other_path_is_an_error(nix, made, served, tmp_path, key):
    keys = (key,) if key else ()
    wrong = target(served.endpoint.port, public_keys=keys, probe_path=made.signed_path)
    with pytest.raises(UnprovedError) as caught:
        hit(nix, wrong, tmp_path, deadline=late(), environ=os.environ)
    assert caught.value.code == "nix.signature"
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_nobody_published_is_no_hit_and_no_proof(nix, served, tmp_path):
    phase = hit(
        nix,
        target(served.endpoint.port, probe_path=UNPUBLISHED),
        tmp_path,
        deadline=late(),
        environ=os.environ,
    )
    assert (phase.hits, phase.asked, phase.first_hit, phase.violations) == (0, 1, None, ())
    assert phase.detail["nothing_to_hit"] is True
    assert phase.detail["paths"] == {UNPUBLISHED: "not-published"}
    assert judge(Client.NIX, [phase]).verdict is Verdict.NOTHING_TO_HIT


def test_an_operator_need_not_publish_the_probe_path(nix, made, served, tmp_path):
    only = target(served.endpoint.port, made.public_key, made.signed_path, probe_path=UNPUBLISHED)
    phase = hit(nix, only, tmp_path, deadline=late(), environ=os.environ)
    assert (phase.hits, phase.asked, phase.detail["key_proved"]) == (1, 1, True)


def test_a_path_that_a_person_names_is_asked_for_too(nix, made, served, tmp_path):
    plain = target(served.endpoint.port, made.public_key, None)  # type: ignore[arg-type]
    phase = hit(
        nix, plain, tmp_path, [f"{made.signed_path}/manifest.nix"], deadline=late(), environ=os.environ
    )
    assert phase.detail["paths"] == {made.probe_path: "hit", made.signed_path: "hit"}
    missed = hit(nix, plain, tmp_path, [UNPUBLISHED], deadline=late(), environ=os.environ)
    assert (missed.hits, missed.asked) == (1, 2)


def test_nothing_is_built_for_a_path_that_could_be(nix, made, served, tmp_path):
    with pytest.raises(UsageError) as caught:
        hit(nix, served, tmp_path, [made.unbuilt_drv], deadline=late(), environ=os.environ)
    assert caught.value.code == "nix.path"


@pytest.mark.parametrize(
    "path", ["", "/", "hello", "/nix/store", "/nix/store/", "/tmp/x", "/nix/store/short-x"]
)
def test_what_is_no_store_path_is_refused(nix, served, tmp_path, path):
    with pytest.raises(UsageError):
        hit(nix, served, tmp_path, [path], deadline=late(), environ=os.environ)


def test_with_the_endpoint_withheld_nothing_comes(nix, served, tmp_path):
    phase = control(nix, served, tmp_path, deadline=late(), environ=os.environ)
    assert (phase.name, phase.asked, phase.hits, phase.local) == (PhaseName.CONTROL, 2, 0, 0)
    assert phase.violations == ()
    assert str(served.endpoint.port) not in phase.detail["substituter"]


def routes_of(name: str) -> nix_caches.Routes:
    """A cache with the probe path that is wrong in the way of this name."""
    info = nix_caches.signed(nix_caches.probe_info(), nix_caches.KEY)
    routes = nix_caches.publishing(info)
    page = nix_caches.answer(b"<!doctype html><title>Sign in</title>", kind="text/html")
    nar, narinfo = f"/{info.url}", f"/{info.store_path.digest}.narinfo"
    match name:
        case "login page":
            return {"*": page}
        case "login page for narinfos":
            return {**routes, narinfo: page}
        case "no cache":
            return {}
        case "forbidden":
            return {"*": nix_caches.answer(b"no", 403)}
        case "broken":
            return {"*": nix_caches.answer(b"oh", 500)}
        case "another store":
            return {**routes, "/nix-cache-info": nix_caches.answer(b"StoreDir: /opt/store\n")}
        case "nar missing":
            return {**routes, nar: nix_caches.answer(b"gone", 404)}
        case "nar corrupt":
            return {**routes, nar: nix_caches.answer(b"x" * 200)}
        case "nar truncated":
            return {**routes, nar: nix_caches.answer(b"x", length=4000)}
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("login page", {"nix.corrupt"}),
        ("login page for narinfos", {"nix.corrupt"}),
        ("no cache", {"nix.not-a-cache"}),
        ("forbidden", {"nix.not-a-cache", "nix.unreachable"}),
        ("broken", {"nix.unreachable"}),
        ("another store", {"nix.not-a-cache"}),
        ("nar missing", {"nix.nar"}),
        ("nar corrupt", {"nix.nar"}),
        ("nar truncated", {"nix.nar"}),
    ],
)
def test_a_cache_that_is_wrong_is_an_error_that_says_how(each, tmp_path, name, codes):
    with nix_caches.serving(routes_of(name)) as port, pytest.raises(UnprovedError) as caught:
        hit(each, target(port), tmp_path, deadline=late(), environ=os.environ)
    assert caught.value.code in codes
    assert str(port) in caught.value.fact
    assert "\n" not in caught.value.fact and "<" not in caught.value.fact
    assert caught.value.hints
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_an_error_that_says_so(nix, tmp_path):
    with faults.refusing() as port, pytest.raises(UnprovedError) as caught:
        hit(nix, target(port), tmp_path, deadline=late(), environ=os.environ)
    assert caught.value.code == "nix.unreachable"


def test_a_cache_that_stays_silent_is_given_up_at_the_deadline(nix, tmp_path):
    with nix_caches.serving({"*": nix_caches.hang}) as port, pytest.raises(UnprovedError) as caught:
        hit(nix, target(port), tmp_path, deadline=Deadline.after(2), environ=os.environ)
    assert caught.value.code == "nix.late"
    assert list(tmp_path.iterdir()) == []


def test_a_token_goes_to_the_cache_by_a_private_netrc_and_not_by_the_command_line(each, tmp_path):
    info = nix_caches.signed(nix_caches.probe_info(), nix_caches.KEY)
    requests: list[bytes] = []
    headers = (("Authorization", "Bearer s3cret"), ("X-Other", "y"))
    with nix_caches.serving(nix_caches.publishing(info), requests=requests) as port:
        phase = hit(each, target(port, headers=headers), tmp_path, deadline=late(), environ=os.environ)
    expected = base64.b64encode(b"gfattach:s3cret")
    assert phase.hits == 1
    assert all(b"Basic " + expected in request for request in requests)
    assert phase.detail["headers_left_out"] == ["X-Other"]
    assert "s3cret" not in json.dumps(phase.record(0.0))


@pytest.mark.parametrize("trusted", [True, False])
def test_the_sites_authority_is_what_a_tls_cache_is_verified_by(nix, tmp_path, trusted):
    (tmp_path / "tls").mkdir()
    authority = faults.Authority(tmp_path / "tls")
    routes = nix_caches.publishing(nix_caches.signed(nix_caches.probe_info(), nix_caches.KEY))
    with nix_caches.serving(routes, authority.context("localhost")) as port:
        secured = SubstituterTarget(
            parse_endpoint(f"https://localhost:{port}"), ca_file=authority.ca if trusted else None
        )
        if trusted:
            assert hit(nix, secured, tmp_path / "work", deadline=late(), environ=os.environ).hits == 1
            assert control(nix, secured, tmp_path / "work", deadline=late(), environ=os.environ).hits == 0
            return
        with pytest.raises(UnprovedError) as caught:
            hit(nix, secured, tmp_path / "work", deadline=late(), environ=os.environ)
    assert caught.value.code == "nix.unreachable"
    assert "certificate" in caught.value.fact


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for the child in /proc: needs Linux")
def test_an_interrupt_leaves_neither_a_nix_nor_a_store(nix, tmp_path):
    """Somebody presses Ctrl-C while the cache keeps silent."""
    with nix_caches.serving({"*": nix_caches.hang}) as port:
        url = f"http://127.0.0.1:{port}"
        asked = [str(nix.path), nix.version, url, WRONG_KEY, UNPUBLISHED, str(tmp_path / "work")]
        phase = subprocess.Popen(
            [sys.executable, "-c", _AS_SOMEBODY, *asked],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(tmp_path)},
            stderr=subprocess.PIPE,
        )
        children = Path(f"/proc/{phase.pid}/task/{phase.pid}/children")
        waited = late()
        while not list(tmp_path.glob("work/*/root/nix/var/nix/db/db.sqlite")) and not waited.expired:
            time.sleep(0.02)
        [child] = children.read_text().split()
        phase.send_signal(signal.SIGINT)
        _, said = phase.communicate(timeout=NIX_SECONDS)
    assert phase.returncode != 0
    assert b"KeyboardInterrupt" in said
    assert not Path(f"/proc/{child}").exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_proxy_of_the_environment_is_not_asked_for_this_machine(nix, served, tmp_path):
    environ = {**os.environ, "http_proxy": "http://127.0.0.1:1", "all_proxy": "http://127.0.0.1:1"}
    assert hit(nix, served, tmp_path, deadline=late(), environ=environ).hits == 2


def test_the_users_own_configuration_has_no_part(nix, served, tmp_path):
    home = tmp_path / "home"
    (home / ".config/nix").mkdir(parents=True)
    (home / ".config/nix/nix.conf").write_text("garbage\n")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NIX_CONFIG": "garbage",
        "NIX_REMOTE": "daemon",
        "NIX_DAEMON_SOCKET_PATH": "/nonexistent/socket",
    }
    assert hit(nix, served, tmp_path / "work", deadline=late(), environ=environ).hits == 2
    assert sorted(path.name for path in home.rglob("*")) == [".config", "nix", "nix.conf"]
    assert (home / ".config/nix/nix.conf").read_text() == "garbage\n"


def test_a_place_with_a_strange_name_will_do(nix, served, tmp_path):
    work = tmp_path / "a b&c?d#e%20+é"
    assert hit(nix, served, work, deadline=late(), environ=os.environ).hits == 2


def test_a_nix_without_nix_store_is_said(nix, served, tmp_path):
    with pytest.raises(ProgramMissingError):
        hit(Nix(tmp_path / "nix", nix.version), served, tmp_path, deadline=late(), environ=os.environ)


_AS_SOMEBODY = """
import json, os, sys
from pathlib import Path
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.proof.nix.phases import hit
from gfattach.nix.program import Nix
from gfattach.nixcache.target import SubstituterTarget
program, version, url, key, path, work = sys.argv[1:]
target = SubstituterTarget(parse_endpoint(url), (key,), signed_path=path)
phase = hit(Nix(Path(program), version), target, Path(work), deadline=Deadline.after(60), environ=os.environ)
print(json.dumps(phase.record(phase.started)))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="run as root, to become somebody else (every other run is one)")
def test_a_user_without_rights_proves_as_much_as_root(nix, made, served):
    """The same in a process of a user who owns nothing, and has no home."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv: apt-get install util-linux")
    work = Path(tempfile.mkdtemp(prefix="gfattach-nobody."))
    try:
        os.chown(work, NOBODY, NOBODY)
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        python = [*become, sys.executable, "-c", "import json"]
        if subprocess.run(python, capture_output=True).returncode != 0:
            pytest.skip("needs a Python that other users can run: apt-get install python3")
        cache = (served.endpoint.url, made.public_key, made.signed_path)
        asked = [str(nix.path), nix.version, *cache, str(work)]
        done = subprocess.run(
            [*become, sys.executable, "-c", _AS_SOMEBODY, *asked],
            capture_output=True,
            text=True,
            timeout=120,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/nonexistent"},
        )
        assert done.returncode == 0, done.stderr
        phase = json.loads(done.stdout)
        assert (phase["hits"], phase["asked"], phase["key_proved"], phase["violations"]) == (2, 2, True, [])
        assert list(work.iterdir()) == []
    finally:
        shutil.rmtree(work)
