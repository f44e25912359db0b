"""The probes of Nix: each code, from a Nix that is as the test says. The real one is asked elsewhere."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gfattach.endpoint import parse_endpoint
from gfattach.engine import Run
from gfattach.finding import Finding, Probe, Stage, Status
from gfattach.nix.authorities import BUNDLES
from gfattach.nix.daemon import UNLISTED
from gfattach.nix.program import Flavour, Nix
from gfattach.nixcache.target import PROBE_PATH, SubstituterTarget
from gfattach.probes import nix_files, nix_trust
from gfattach.probes.nix import STAGE, NixSubject
from gfattach.probes.nix_subject import END_SECONDS
from tests.unit.fake_nix import fake_nix, script, showing

URL = "http://127.0.0.1:8123/main"
KEY = "team-1:YlVMkO4uByIAZeB8im8KP4qkmlGLegZglf53WwLkeJY="
TARGET = SubstituterTarget(parse_endpoint(URL), (KEY,))

#: The settings of a Nix that reads the fragment and is otherwise as it came.
SETTINGS = {
    "connect-timeout": 5,
    "download-attempts": 2,
    "narinfo-cache-negative-ttl": 60,
    "netrc-file": "/nonexistent/netrc",
    "require-sigs": True,
    "stalled-download-timeout": 30,
    "store": "local",
    "substitute": True,
    "substituters": ["https://cache.nixos.org/", URL],
    "trusted-public-keys": [KEY],
    "trusted-substituters": [],
}


class Machine:
    """A home, and a Nix whose settings are `SETTINGS` but for those that a test changes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir()
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(self.home)}

    def ask(
        self, target: SubstituterTarget | None = TARGET, then: str = "exit 0", **settings
    ) -> dict[str, Finding]:
        """What every probe finds, by name; an underscore in a setting's name stands for a hyphen."""
        changed = {name.replace("_", "-"): value for name, value in settings.items()}
        nix = showing(self.root / "bin", {**SETTINGS, **changed}, then)
        return self.probe(NixSubject(str(nix.path), target))

    def probe(self, subject: NixSubject, stage: Stage[NixSubject] = STAGE) -> dict[str, Finding]:
        subject = replace(subject, environ={**self.environ, **(subject.environ or {})})
        return dict(Run().stage(stage, subject).findings)


#: The same stage with no patience: its probes wait half a second.
HURRIED = replace(STAGE, probes=tuple(replace(probe, seconds=END_SECONDS + 0.5) for probe in STAGE.probes))


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_a_nix_that_has_nothing_against_it_passes_every_probe(machine):
    found = machine.ask()
    assert {name: finding.status for name, finding in found.items() if finding.status is not Status.OK} == {}
    assert list(found) == [probe.name for probe in STAGE.probes]


def test_every_warning_and_failure_says_why_and_what_to_do(machine):
    """Over the findings of all sorts of broken machines at once."""
    netrc = machine.root / "netrc"
    netrc.write_text("machine 127.0.0.1:8123 login u password p\n")
    broken = [
        machine.ask(substituters=[], connect_timeout=0, netrc_file=str(netrc)),
        machine.ask(store="ssh-ng://elsewhere", substitute=False, stalled_download_timeout=300),
        machine.ask(store="unix:///nonexistent/socket", require_sigs=False),
        machine.ask(replace(TARGET, endpoint=parse_endpoint("https://h"), ca_file=Path("/nonexistent/ca"))),
        machine.probe(NixSubject("no-such-nix", TARGET)),
    ]
    findings = [f for found in broken for f in found.values() if f.status in (Status.WARN, Status.FAIL)]
    assert len({finding.code for finding in findings}) >= 9
    for finding in findings:
        assert finding.why and finding.hints, finding
        for text in (finding.seen, finding.why, *finding.hints):
            assert not text.endswith(".") and "\n" not in text, finding
            assert "trusted-users" not in text


@pytest.mark.parametrize("probe", STAGE.probes, ids=lambda probe: probe.name)
def test_codes_are_named_after_their_probe(probe: Probe):
    assert probe.name.startswith("nix.")
    assert all(code.startswith(f"{probe.name}.") for code in probe.codes)
    assert set(probe.needs) <= {other.name for other in STAGE.probes}


# nix.program


def test_a_missing_nix_is_skipped_with_what_installs_it(machine, tmp_path):
    found = machine.probe(NixSubject(None, TARGET, environ={"PATH": str(tmp_path)}))
    assert (found["nix.program"].code, found["nix.program"].status) == ("nix.program.missing", Status.SKIP)
    assert any("apt-get install nix-bin" in hint for hint in found["nix.program"].hints)
    assert {finding.status for finding in found.values()} == {Status.SKIP}


def test_a_nix_that_was_named_and_is_missing_fails(machine):
    finding = machine.probe(NixSubject("/nonexistent/nix", TARGET))["nix.program"]
    assert (finding.code, finding.status) == ("nix.program.named", Status.FAIL)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("kill -SEGV $$", "nix.program.crashed"),
        ("exit 3", "nix.program.crashed"),
        ("echo bazel 8", "nix.program.rubbish"),
    ],
)
def test_a_nix_that_is_broken_fails_by_kind(machine, tmp_path, body, code):
    path = script(tmp_path / "nix", body)
    found = machine.probe(NixSubject(str(path), TARGET))
    assert (found["nix.program"].code, found["nix.program"].status) == (code, Status.FAIL)
    assert {found[name].status for name in found if name != "nix.program"} == {Status.SKIP}


def test_a_nix_that_cannot_be_started_fails(machine, tmp_path):
    path = tmp_path / "nix"
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    assert machine.probe(NixSubject(str(path), TARGET))["nix.program"].code == "nix.program.unusable"


def test_a_nix_that_hangs_fails_within_the_time_of_the_probe(machine, tmp_path):
    """The probe itself has its say: it is not the engine that gives it up."""
    path = script(tmp_path / "nix", "exec sleep 600")
    finding = machine.probe(NixSubject(str(path), TARGET), HURRIED)["nix.program"]
    assert (finding.code, finding.status) == ("nix.program.hung", Status.FAIL)


# nix.starts


def test_the_settings_are_read_with_the_fragment_and_without(machine, tmp_path):
    """Before there is a fragment, with what it will say; afterwards, with the file."""
    log = tmp_path / "seen"
    nix = showing(tmp_path / "bin", SETTINGS)
    nix.path.write_text(
        nix.path.read_text().replace("#!/bin/sh", f'#!/bin/sh\necho "$*:$NIX_CONFIG:" >> {log}')
    )
    machine.probe(NixSubject(str(nix.path), TARGET, environ={"NIX_CONFIG": "cores = 1"}))
    plain, attached = log.read_text().split("config show")[1:]
    assert URL not in plain
    assert f"extra-substituters = {URL}" in attached and "cores = 1" in attached
    log.unlink()
    fragment = tmp_path / "fragment.conf"
    fragment.write_text(f"extra-substituters = {URL}\n")
    machine.probe(NixSubject(str(nix.path), TARGET, fragment))
    plain, attached = log.read_text().split("config show")[1:]
    assert "include" not in plain
    assert f"!include {fragment}" in attached


def test_what_nix_shows_of_secrets_is_not_kept(machine):
    found = machine.ask(
        substituters=["https://me:hunter2@cache", URL], access_tokens={"github.com": "hunter2"}
    )
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("echo 'error: syntax error in configuration line' >&2; exit 1", "nix.starts.configuration"),
        ("echo '{}x'", "nix.starts.rubbish"),
        ("kill -ABRT $$", "nix.starts.crashed"),
        ("exec sleep 600", "nix.starts.hung"),
    ],
)
def test_a_nix_that_does_not_show_its_settings_fails_by_kind(machine, tmp_path, body, code):
    nix = fake_nix(tmp_path / "bin", body)
    stage = HURRIED if "sleep" in body else STAGE
    finding = machine.probe(NixSubject(str(nix.path), TARGET), stage)["nix.starts"]
    assert (finding.code, finding.status) == (code, Status.FAIL)


def test_a_fragment_that_nix_cannot_read_is_told_apart_from_its_own_configuration(machine, tmp_path):
    nix = showing(tmp_path / "bin", SETTINGS)
    refuse = '#!/bin/sh\ncase "$NIX_CONFIG" in *extra-*) echo "error: no" >&2; exit 1;; esac'
    nix.path.write_text(nix.path.read_text().replace("#!/bin/sh", refuse))
    finding = machine.probe(NixSubject(str(nix.path), TARGET))["nix.starts"]
    assert (finding.code, finding.status) == ("nix.starts.fragment", Status.FAIL)


# nix.mode and nix.trust


def test_no_store_is_no_fault(machine, tmp_path):
    machine.environ["NIX_STATE_DIR"] = str(tmp_path / "none")
    found = machine.ask(store="auto")
    assert found["nix.mode"].code == "nix.mode.new"
    assert found["nix.trust"].code == "nix.trust.owner"


def test_a_store_on_another_machine_is_warned_of(machine):
    finding = machine.ask(store="ssh-ng://user:secret@builder")["nix.mode"]
    assert (finding.code, finding.status) == ("nix.mode.elsewhere", Status.WARN)
    assert "secret" not in finding.seen


@pytest.mark.parametrize("what", ["nothing", "a file", "a socket that nobody listens to"])
def test_a_daemon_that_is_dead_fails(machine, tmp_path, what):
    path = tmp_path / "s"
    if what == "a file":
        path.write_text("")
    elif what != "nothing":
        with closing(socket.socket(socket.AF_UNIX)) as dead:
            dead.bind(str(path))
    finding = machine.ask(store=f"unix://{path}")["nix.mode"]
    assert (finding.code, finding.status) == ("nix.mode.daemon-dead", Status.FAIL)


@pytest.fixture
def daemon(tmp_path_factory):
    """Something that accepts connections in a daemon's place."""
    path = tmp_path_factory.mktemp("d") / "s"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        yield f"unix://{path}"


def ignoring(*urls: str) -> str:
    """What a daemon's client prints that ignores `urls`."""
    warnings = "".join(f"warning: ignoring untrusted substituter '{url}'\\n" for url in urls)
    return f'if [ "$1 $2" = "store ping" ]; then printf "{warnings}" >&2; exit 0; fi'


def test_a_trusted_user(machine, daemon):
    found = machine.ask(store=daemon, then=ignoring())
    assert found["nix.mode"].code == "nix.mode.daemon"
    assert found["nix.trust"].code == "nix.trust.trusted"


def test_a_user_for_whom_the_administrator_has_listed_all(machine, daemon):
    finding = machine.ask(store=daemon, then=ignoring(UNLISTED))["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.listed", Status.OK)


def test_a_substituter_that_is_not_listed(machine, daemon):
    finding = machine.ask(store=daemon, then=ignoring(URL, UNLISTED), trusted_public_keys=[])["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.untrusted", Status.WARN)
    assert f"extra-trusted-substituters = {URL}" in finding.hints
    assert f"extra-trusted-public-keys = {KEY}" in finding.hints


def test_a_key_that_is_not_listed(machine, daemon):
    other = "other-1:AAAA"
    finding = machine.ask(store=daemon, then=ignoring(UNLISTED), trusted_public_keys=[other])["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.key", Status.WARN)


def test_one_listed_key_of_several_will_do(machine, daemon):
    target = replace(TARGET, public_keys=("next-1:AAAA", KEY))
    assert machine.ask(target, store=daemon, then=ignoring(UNLISTED))["nix.trust"].code == "nix.trust.listed"


def test_a_daemon_that_gives_no_answer_is_warned_of(machine, daemon):
    finding = machine.ask(store=daemon, then="echo 'error: protocol mismatch' >&2; exit 1")["nix.trust"]
    assert (finding.code, finding.status) == ("nix.trust.unanswered", Status.WARN)
    assert "protocol mismatch" in finding.seen


@pytest.mark.parametrize(
    ("flavour", "custom", "file"),
    [
        (Flavour.NIX, False, "nix.conf"),
        (Flavour.LIX, False, "nix.conf"),
        (Flavour.DETERMINATE, False, "nix.custom.conf"),
        (Flavour.NIX, True, "nix.custom.conf"),
    ],
)
def test_the_administrator_is_told_the_file_that_is_theirs_to_edit(tmp_path, flavour, custom, file):
    if custom:
        (tmp_path / "nix.custom.conf").write_text("")
    nix = Nix(Path("/bin/nix"), "2.31.0", flavour)
    hints = nix_trust.administrator_lines(nix, URL, (KEY,), {"NIX_CONF_DIR": str(tmp_path)})
    assert hints[0].endswith(f"{tmp_path / file}:")
    assert hints[1:3] == (f"extra-trusted-substituters = {URL}", f"extra-trusted-public-keys = {KEY}")


def test_the_administrator_of_a_nixos_is_told_its_options(tmp_path, monkeypatch):
    monkeypatch.setattr(nix_trust, "NIXOS_MARK", tmp_path)
    hints = nix_trust.administrator_lines(Nix(Path("/bin/nix"), "2.31.0"), URL, (KEY,), {})
    assert f'nix.settings.trusted-substituters = [ "{URL}" ];' in hints
    assert f'nix.settings.trusted-public-keys = [ "{KEY}" ];' in hints
    assert "nixos-rebuild switch" in hints[-1]


# nix.substituters and nix.timeouts


def test_without_a_substituter_those_in_force_are_shown(machine):
    finding = machine.ask(None)["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.seen", Status.OK)
    assert "https://cache.nixos.org/" in finding.seen


@pytest.mark.parametrize("left", [[], ["https://cache.nixos.org/"], [f"{URL}?priority=1"]])
def test_a_later_plain_setting_that_wipes_the_fragments(machine, tmp_path, left):
    fragment = tmp_path / "fragment.conf"
    fragment.write_text(f"extra-substituters = {URL}\n")
    nix = showing(tmp_path / "bin", {**SETTINGS, "substituters": left})
    finding = machine.probe(NixSubject(str(nix.path), TARGET, fragment))["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.wiped", Status.WARN)


@pytest.mark.parametrize("text", [f"# extra-substituters = {URL}\n", ""])
def test_a_fragment_that_is_emptied_is_no_mistake_of_the_users(machine, tmp_path, text):
    fragment = tmp_path / "fragment.conf"
    fragment.write_text(text)
    nix = showing(tmp_path / "bin", {**SETTINGS, "substituters": []})
    finding = machine.probe(NixSubject(str(nix.path), TARGET, fragment))["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.emptied", Status.WARN)


@pytest.mark.parametrize("other", [f"{URL}/", f"{URL}?priority=10", URL.replace("http", "HTTP")])
def test_the_same_cache_in_another_spelling(machine, other):
    finding = machine.ask(substituters=[other, URL])["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.spelling", Status.WARN)
    assert other in finding.seen


OLD_KEY = KEY.replace("YlVM", "AAAA")
SECOND_KEY = OLD_KEY.replace("team-1", "team-2")


@pytest.mark.parametrize(
    ("trusted", "code"),
    [
        ([KEY], "nix.keys.effective"),
        ([SECOND_KEY], "nix.keys.effective"),  # one of several will do
        ([], "nix.keys.wiped"),
        (["cache.nixos.org-1:AAAA"], "nix.keys.wiped"),
        ([OLD_KEY, KEY], "nix.keys.hidden"),
        ([KEY, OLD_KEY], "nix.keys.effective"),
    ],
)
def test_the_keys_that_are_in_force(machine, trusted, code):
    target = replace(TARGET, public_keys=(KEY, SECOND_KEY))
    assert machine.ask(target, trusted_public_keys=trusted)["nix.keys"].code == code


def test_a_target_without_a_key_asks_for_none(machine):
    assert machine.ask(replace(TARGET, public_keys=()))["nix.keys"].code == "nix.keys.none"


def test_keys_of_an_emptied_fragment_are_no_mistake_of_the_users(machine, tmp_path):
    fragment = tmp_path / "fragment.conf"
    fragment.write_text("")
    nix = showing(tmp_path / "bin", {**SETTINGS, "substituters": [], "trusted-public-keys": []})
    finding = machine.probe(NixSubject(str(nix.path), TARGET, fragment))["nix.keys"]
    assert (finding.code, finding.status) == ("nix.keys.emptied", Status.SKIP)


def test_substitution_that_is_turned_off(machine):
    assert machine.ask(substitute=False)["nix.substituters"].code == "nix.substituters.off"


@pytest.mark.parametrize("changes", [{"require_sigs": False}, {"substituters": [URL, "http://h?trusted=1"]}])
def test_paths_that_nobody_signed(machine, changes):
    finding = machine.ask(**changes)["nix.substituters"]
    assert (finding.code, finding.status) == ("nix.substituters.unsigned", Status.WARN)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "nix.timeouts.bounded"),
        ({"connect_timeout": 0}, "nix.timeouts.unbounded"),
        ({"stalled_download_timeout": 300}, "nix.timeouts.long"),
        ({"download_attempts": 50}, "nix.timeouts.long"),
    ],
)
def test_how_long_nix_waits(machine, changes, code):
    assert machine.ask(**changes)["nix.timeouts"].code == code


def test_a_nix_that_does_not_say_how_long_it_waits(machine, tmp_path):
    few = {name: value for name, value in SETTINGS.items() if name in ("substituters", "store")}
    nix = showing(tmp_path / "bin", few)
    found = machine.probe(NixSubject(str(nix.path), TARGET))
    assert found["nix.timeouts"].code == "nix.timeouts.unknown"
    assert found["nix.substituters"].code == "nix.substituters.effective"


# nix.netrc

WITH_TOKEN = replace(TARGET, headers=(("Authorization", "Bearer hunter2"),))
ENTRY = "machine 127.0.0.1 login u password hunter2\n"


def netrc(machine: Machine, text: str, mode: int = 0o600) -> str:
    path = machine.root / "netrc"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("text", "target", "mode", "code"),
    [
        (None, TARGET, 0, "nix.netrc.none"),
        (None, WITH_TOKEN, 0, "nix.netrc.no-entry"),
        ("machine other login u password p\n", TARGET, 0o600, "nix.netrc.ok"),
        ("machine other login u password p\n", WITH_TOKEN, 0o600, "nix.netrc.no-entry"),
        (ENTRY, WITH_TOKEN, 0o600, "nix.netrc.ok"),
        ("default login u password p\n", WITH_TOKEN, 0o600, "nix.netrc.ok"),
        (ENTRY, WITH_TOKEN, 0o644, "nix.netrc.open"),
        (ENTRY.replace("127.0.0.1", "127.0.0.1:8123"), WITH_TOKEN, 0o600, "nix.netrc.port"),
    ],
)
def test_what_the_netrc_has_for_the_cache(machine, text, target, mode, code):
    file = "/nonexistent/netrc" if text is None else netrc(machine, text, mode)
    finding = machine.ask(target, netrc_file=file)["nix.netrc"]
    assert finding.code == code
    assert "hunter2" not in repr(finding)


def test_a_netrc_that_cannot_be_read(machine):
    directory = machine.root / "netrc"
    directory.mkdir()
    finding = machine.ask(netrc_file=str(directory))["nix.netrc"]
    assert (finding.code, finding.status) == ("nix.netrc.unreadable", Status.WARN)


@pytest.mark.parametrize(
    ("merged", "code"),
    [(ENTRY, "nix.netrc.replaced"), (ENTRY + "machine other login u password p\n", "nix.netrc.ok")],
)
def test_a_netrc_that_takes_the_place_of_the_users(machine, tmp_path, merged, code):
    own = tmp_path / "own"
    own.write_text("machine other login u password p\n")
    ours = netrc(machine, merged)
    attached = showing(tmp_path / "attached", {**SETTINGS, "netrc-file": ours})
    plain = showing(tmp_path / "plain", {**SETTINGS, "netrc-file": str(own)})
    choose = (
        f'#!/bin/sh\ncase "$NIX_CONFIG" in *extra-*) exec {attached.path} "$@";; esac\nexec {plain.path} "$@"'
    )
    both = script(tmp_path / "nix", choose.removeprefix("#!/bin/sh\n"))
    finding = machine.probe(NixSubject(str(both), WITH_TOKEN))["nix.netrc"]
    assert finding.code == code


def test_credentials_that_a_daemon_would_need(machine, daemon):
    finding = machine.ask(WITH_TOKEN, store=daemon, netrc_file=netrc(machine, ENTRY))["nix.netrc"]
    assert (finding.code, finding.status) == ("nix.netrc.daemon", Status.WARN)


def test_a_netrc_that_the_fragment_brings(machine, tmp_path, daemon):
    codes = []
    for store in ("local", daemon):
        nix = showing(tmp_path / f"bin-{len(codes)}", {**SETTINGS, "store": store})
        subject = NixSubject(str(nix.path), WITH_TOKEN, netrc_given=True)
        codes.append(machine.probe(subject)["nix.netrc"].code)
    assert codes == ["nix.netrc.given", "nix.netrc.daemon"]


# nix.negative-cache


def remember(
    machine: Machine, url: str = URL, present: int = 0, age: int = 10, path: str = PROBE_PATH
) -> Path:
    """Have Nix remember an answer of the cache at `url`."""
    directory = machine.home / ".cache" / "nix"
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "binary-cache-v7.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(
            f"""
            create table BinaryCaches (id integer primary key, url text);
            create table NARs (cache integer, hashPart text, sigs text, ca text, timestamp integer,
                present integer);
            insert into BinaryCaches values (1, '{url}');
            insert into NARs values (1, '{path[11:43]}', null, null, {int(time.time()) - age}, {present});
            """
        )
        database.commit()
    return file


def test_a_negative_answer_that_still_counts(machine):
    file = remember(machine)
    finding = machine.ask()["nix.negative-cache"]
    assert (finding.code, finding.status) == ("nix.negative-cache.stale", Status.WARN)
    assert finding.data["file"] == str(file)
    assert f"nix-store --realise {PROBE_PATH} --option narinfo-cache-negative-ttl 0" in finding.hints


@pytest.mark.parametrize(
    "remembered",
    [
        {"present": 1},
        {"age": 61},
        {"url": "http://127.0.0.1:9/main"},
        {"path": "/nix/store/" + "0" * 32 + "-x"},
    ],
    ids=["an answer that it is there", "an old answer", "another cache", "another path"],
)
def test_answers_that_do_not_count(machine, remembered):
    remember(machine, **remembered)
    assert machine.ask()["nix.negative-cache"].code == "nix.negative-cache.clear"


def test_the_signed_path_counts_too(machine):
    signed = "/nix/store/" + "1" * 32 + "-signed"
    remember(machine, path=signed)
    found = machine.ask(replace(TARGET, signed_path=signed))
    assert found["nix.negative-cache"].data["path"] == signed


def test_a_memory_that_is_damaged(machine):
    file = remember(machine)
    file.write_bytes(b"damaged" * 100)
    finding = machine.ask()["nix.negative-cache"]
    assert (finding.code, finding.status) == ("nix.negative-cache.unreadable", Status.WARN)
    assert file.read_bytes() == b"damaged" * 100


def test_the_memory_of_a_daemon_is_roots(machine, daemon, monkeypatch, tmp_path):
    remember(machine)
    monkeypatch.setattr(nix_files, "ROOT_HOME", str(tmp_path / "root"))
    finding = machine.ask(store=daemon)["nix.negative-cache"]
    assert (finding.code, finding.status) == ("nix.negative-cache.unseen", Status.SKIP)
    monkeypatch.setattr(nix_files, "ROOT_HOME", str(machine.home))
    assert machine.ask(store=daemon)["nix.negative-cache"].code == "nix.negative-cache.stale"


def test_without_a_substituter_nothing_is_looked_for(machine):
    assert machine.ask(None)["nix.negative-cache"].code == "nix.negative-cache.nothing"


# nix.ca

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
TLS = replace(TARGET, endpoint=parse_endpoint("https://cache.example/main"))


@pytest.fixture
def authorities(tmp_path) -> tuple[Path, Path]:
    """A bundle, and the file of a site whose authority is not in it."""
    bundle, site = tmp_path / "bundle.pem", tmp_path / "site.pem"
    bundle.write_text(CERTIFICATE.format("AAAA") + CERTIFICATE.format("BBBB"))
    site.write_text(CERTIFICATE.format("CCCC"))
    return bundle, site


def test_authorities_that_include_the_sites(machine, authorities):
    bundle, site = authorities
    assert machine.ask(TLS, ssl_cert_file=str(bundle))["nix.ca"].code == "nix.ca.ok"
    bundle.write_text(bundle.read_text() + site.read_text())
    finding = machine.ask(replace(TLS, ca_file=site), ssl_cert_file=str(bundle))["nix.ca"]
    assert (finding.code, finding.data["file"]) == ("nix.ca.ok", str(bundle))


def test_authorities_that_lack_the_sites(machine, authorities):
    bundle, site = authorities
    finding = machine.ask(replace(TLS, ca_file=site), ssl_cert_file=str(bundle))["nix.ca"]
    assert (finding.code, finding.status) == ("nix.ca.lacks", Status.WARN)
    assert any("ssl-cert-file = " in hint for hint in finding.hints)


def test_a_nix_without_the_setting_goes_by_the_variable(machine, authorities):
    bundle, site = authorities
    machine.environ["NIX_SSL_CERT_FILE"] = str(bundle)
    finding = machine.ask(replace(TLS, ca_file=site))["nix.ca"]
    assert finding.code == "nix.ca.lacks"
    assert any("export NIX_SSL_CERT_FILE=" in hint for hint in finding.hints)


@pytest.mark.parametrize("which", ["bundle", "site"])
def test_authorities_that_cannot_be_read(machine, authorities, which):
    bundle, site = authorities
    (bundle if which == "bundle" else site).unlink()
    finding = machine.ask(replace(TLS, ca_file=site), ssl_cert_file=str(bundle))["nix.ca"]
    assert (finding.code, finding.status) == ("nix.ca.missing", Status.WARN)
    assert f"{which}.pem" in finding.seen


def test_a_daemon_has_authorities_of_its_own(machine, daemon, authorities, tmp_path):
    """The user's Nix is told of a bundle with the site's authority by a variable that no daemon sees."""
    if not any(path.exists() for path in BUNDLES):
        pytest.skip("needs a bundle of authorities: apt-get install ca-certificates")
    _, site = authorities
    machine.environ["NIX_SSL_CERT_FILE"] = str(site)
    finding = machine.ask(replace(TLS, ca_file=site), store=daemon)["nix.ca"]
    assert (finding.code, finding.status) == ("nix.ca.daemon", Status.WARN)
