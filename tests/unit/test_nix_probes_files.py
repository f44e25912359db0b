"""Probes of Nix: the files that it reads besides, which are netrc, remembered answers and authorities."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.finding import Status
from gfattach.nix.authorities import BUNDLES
from gfattach.nix.daemon import UNLISTED
from gfattach.nixcache.target import PROBE_PATH
from gfattach.probes.nix import remembered
from gfattach.probes.nix.stage import NixSubject
from tests.harness.machine.fake_nix import script, showing
from tests.harness.machine.nix_home import SETTINGS, TARGET, URL, Machine, daemon, machine

__all__ = ["daemon", "machine"]


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
        ('machine other login u password "p\n', TARGET, 0o600, "nix.netrc.broken"),
        (ENTRY + 'machine other login u password "p\n', WITH_TOKEN, 0o600, "nix.netrc.ok"),
        (ENTRY, WITH_TOKEN, 0o644, "nix.netrc.open"),
        (ENTRY.replace("127.0.0.1", "127.0.0.1:8123"), WITH_TOKEN, 0o600, "nix.netrc.port"),
    ],
)
def test_what_the_netrc_has_for_the_cache(machine, text, target, mode, code):
    file = "/nonexistent/netrc" if text is None else netrc(machine, text, mode)
    finding = machine.ask(target, netrc_file=file)["nix.netrc"]
    assert finding.code == code
    assert "hunter2" not in repr(finding)


def test_a_netrc_of_somebody_else_is_theirs_to_close(machine, monkeypatch):
    file = netrc(machine, ENTRY, 0o644)
    assert machine.ask(WITH_TOKEN, netrc_file=file)["nix.netrc"].code == "nix.netrc.open"
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    assert machine.ask(WITH_TOKEN, netrc_file=file)["nix.netrc"].code == "nix.netrc.ok"


def test_a_netrc_that_cannot_be_read(machine):
    directory = machine.root / "netrc"
    directory.mkdir()
    finding = machine.ask(netrc_file=str(directory))["nix.netrc"]
    assert (finding.code, finding.status) == ("nix.netrc.unreadable", Status.WARN)


IGNORING = f"""if [ "$1 $2" = "store ping" ]; then
  echo "warning: ignoring untrusted substituter '{UNLISTED}'" >&2; fi"""


@pytest.mark.parametrize(("says", "code"), [("exit 0", "nix.netrc.ok"), (IGNORING, "nix.netrc.daemon")])
def test_credentials_that_a_daemon_needs_for_a_user_whom_it_does_not_trust(machine, daemon, says, code):
    ours = netrc(machine, ENTRY)
    assert machine.ask(WITH_TOKEN, says, store=daemon, netrc_file=ours)["nix.netrc"].code == code


def test_the_netrc_that_the_daemon_reads_is_named(machine, tmp_path, daemon):
    """The system's configuration may name another than the usual one; a user's own does not count for it."""
    ours, theirs = netrc(machine, ENTRY), "/etc/somewhere/netrc"
    own = showing(tmp_path / "own", {**SETTINGS, "store": daemon, "netrc-file": ours}, IGNORING)
    system = showing(tmp_path / "system", {**SETTINGS, "netrc-file": theirs})
    both = script(
        tmp_path / "nix",
        f'case "$NIX_USER_CONF_FILES" in /nonexistent/*) exec {system.path} "$@";; esac\n'
        f'exec {own.path} "$@"',
    )
    finding = machine.probe(NixSubject(program=str(both), target=WITH_TOKEN, environ={}))["nix.netrc"]
    assert (finding.code, finding.status) == ("nix.netrc.daemon", Status.WARN)
    assert theirs in finding.why and theirs in finding.hints[0]


@pytest.mark.parametrize(("says", "code"), [("exit 0", "nix.netrc.ok"), (IGNORING, "nix.netrc.daemon")])
def test_a_netrc_that_the_fragment_brings_through_a_daemon(machine, tmp_path, daemon, says, code):
    nix = showing(tmp_path / "bin", {**SETTINGS, "store": daemon}, says)
    subject = NixSubject(program=str(nix.path), target=WITH_TOKEN, netrc_given=True, environ={})
    assert machine.probe(subject)["nix.netrc"].code == code


def test_a_netrc_that_the_fragment_brings(machine, tmp_path):
    nix = showing(tmp_path / "bin", SETTINGS)
    subject = NixSubject(program=str(nix.path), target=WITH_TOKEN, netrc_given=True, environ={})
    assert machine.probe(subject)["nix.netrc"].code == "nix.netrc.ok"


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
            create table BinaryCaches (id integer primary key, url text, storeDir text);
            create table NARs (cache integer, hashPart text, namePart text, narHash text, narSize integer,
                refs text, sigs text, ca text, timestamp integer, present integer);
            insert into BinaryCaches values (1, '{url}', '/nix/store');
            insert into NARs (cache, hashPart, timestamp, present)
                values (1, '{path[11:43]}', {int(time.time()) - age}, {present});
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
    assert machine.ask()["nix.negative-cache"].code == "nix.negative-cache.ok"


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
    monkeypatch.setattr(remembered, "ROOT_HOME", str(tmp_path / "root"))
    finding = machine.ask(store=daemon)["nix.negative-cache"]
    assert (finding.code, finding.status) == ("nix.negative-cache.unseen", Status.SKIP)
    monkeypatch.setattr(remembered, "ROOT_HOME", str(machine.home))
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


def test_without_tls_no_authority_is_needed(machine):
    assert machine.ask(TARGET)["nix.ca"].code == "nix.ca.plain"


def test_a_nix_that_can_be_told_of_authorities_is_told_by_the_fragment(machine, authorities):
    bundle, site = authorities
    finding = machine.ask(replace(TLS, ca_file=site), ssl_cert_file=str(bundle))["nix.ca"]
    assert (finding.code, finding.status) == ("nix.ca.ok", Status.OK)
    assert "the fragment" in finding.seen and str(site) in finding.seen


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


# nix.remembered, nix.encodings, nix.flake: what real Nixes show is in the tests of each


def test_a_memory_that_is_damaged_is_named(machine):
    file = remember(machine)
    file.write_bytes(b"no database at all" * 100)
    finding = machine.ask()["nix.remembered"]
    assert (finding.code, finding.status) == ("nix.remembered.unreadable", Status.WARN)
    assert str(file) in finding.seen


def test_signatures_that_a_daemon_remembers_out_of_sight_are_skipped(machine, daemon, monkeypatch, tmp_path):
    monkeypatch.setattr(remembered, "ROOT_HOME", str(tmp_path / "root"))
    finding = machine.ask(store=daemon)["nix.remembered"]
    assert (finding.code, finding.status) == ("nix.remembered.unseen", Status.SKIP)


@pytest.mark.parametrize(
    ("encoding", "code"),
    [("zstd", "nix.encodings.ok"), ("xz", "nix.encodings.ok"), ("x-gzip", "nix.encodings.unknown")],
)
def test_an_encoding_of_documents_is_judged_by_the_version(machine, encoding, code):
    nix = showing(machine.root / "bin", SETTINGS)
    subject = NixSubject(program=str(nix.path), target=TARGET, encodings=(encoding,), environ=machine.environ)
    assert machine.probe(subject)["nix.encodings"].code == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "nix.flake.none"),
        ('{ nixConfig.extra-substituters = "https://a"; }', "nix.flake.ok"),
        ('{ nixConfig.substituters = [ "https://a" ]; }', "nix.flake.replaces"),
        ('{ nixConfig = { trusted-public-keys = "a:b"; }; }', "nix.flake.replaces"),
        (f'{{ nixConfig.substituters = [ "https://a" "{URL}/" ]; }}', "nix.flake.ok"),
    ],
)
def test_a_flake_that_replaces_what_is_attached_is_named(machine, tmp_path, text, code):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    if text:
        (workspace / "flake.nix").write_text(text)
    nix = showing(machine.root / "bin", SETTINGS)
    finding = machine.probe(
        NixSubject(program=str(nix.path), target=TARGET, workspace=workspace, environ=machine.environ)
    )["nix.flake"]
    assert finding.code == code
    assert finding.status is (Status.WARN if code == "nix.flake.replaces" else Status.OK)
