"""What Nix keeps and reads: isolated stores, the narinfo cache, netrc, authorities, addresses, the daemon."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.errors import NixError, StorageError, UsageError
from gfattach.nix import authorities, narinfo_cache, netrc
from gfattach.nix.config import Settings
from gfattach.nix.daemon import UNLISTED, Mode, access, ask_trust
from gfattach.nix.isolated import IsolatedStore
from gfattach.nix.narinfo_cache import NarInfoCacheError
from gfattach.nix.uri import same_cache, shown, spelled_otherwise
from tests.harness.machine.fake_nix import fake_nix

PATH = "/nix/store/ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1"


def test_an_isolated_store_leaves_nothing_behind_though_paths_are_read_only(tmp_path):
    with IsolatedStore(tmp_path / "work", {}, environ=dict(os.environ)) as store:
        path = store.root / "nix/store/x-y/bin"
        path.mkdir(parents=True)
        (path / "tool").write_text("")
        (path / "link").symlink_to(tmp_path)
        (path / "tool").chmod(0o444)
        for directory in (path, path.parent, path.parent.parent):
            directory.chmod(0o555)
        assert store.directory.parent == tmp_path / "work"
    assert list((tmp_path / "work").iterdir()) == []
    assert tmp_path.exists()


def test_everything_of_an_isolated_store_is_private(tmp_path):
    with IsolatedStore(
        tmp_path, {}, netrc="machine h login u password p\n", environ=dict(os.environ)
    ) as store:
        for path in [store.directory, *store.directory.rglob("*")]:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_an_isolated_nix_sees_nothing_of_the_users(tmp_path):
    own = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "NIX_CONFIG": "substituters = https://elsewhere",
        "NIX_PATH": "nixpkgs=/x",
        "NIX_REMOTE": "daemon",
        "NIX_SSL_CERT_FILE": "/etc/ca.pem",
        "XDG_CACHE_HOME": "/home/me/.cache",
        "http_proxy": "http://proxy",
        "SECRET_TOKEN": "hunter2",
    }
    with IsolatedStore(tmp_path, {}, environ=own) as store:
        environment = store.environment
        assert environment["PATH"] == "/bin"
        assert environment["NIX_SSL_CERT_FILE"] == "/etc/ca.pem"
        inside = {name for name, value in environment.items() if str(store.directory) in value}
        assert set(environment) - inside == {"PATH", "NIX_SSL_CERT_FILE"}
        assert {"HOME", "XDG_CACHE_HOME", "NIX_STATE_DIR", "NIX_LOG_DIR", "NIX_CONF_DIR"} <= inside
        assert {"NIX_USER_CONF_FILES", "NIX_REMOTE", "TMPDIR"} <= inside


def test_an_isolated_nix_builds_nothing_and_takes_nothing_unsigned(tmp_path):
    with IsolatedStore(tmp_path, {"substituters": "http://h"}, environ=dict(os.environ)) as store:
        lines = (store.directory / "conf" / "nix.conf").read_text().splitlines()
    assert {"substituters = http://h", "max-jobs = 0", "builders = ", "require-sigs = true"} <= set(lines)
    assert {"trusted-public-keys = ", "fallback = false", "build-users-group = "} <= set(lines)


@pytest.mark.parametrize(
    "value", ["http://h\nrequire-sigs = false", "http://h # x", "k:\x00", "a\rb", "a\u2028b"]
)
def test_a_setting_that_would_say_something_else_is_refused(tmp_path, value):
    with pytest.raises(UsageError) as caught:
        IsolatedStore(tmp_path, {"substituters": value}, environ=dict(os.environ))
    assert caught.value.code == "nix.setting"
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_not_put_below_a_link_and_its_address_is_escaped(tmp_path):
    (tmp_path / "real &?#%").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real &?#%")
    with IsolatedStore(tmp_path / "link", {}, environ=dict(os.environ)) as store:
        assert "link" not in str(store.directory)
        assert "real%20%26%3F%23%25/" in store.uri
        assert store.uri.startswith("local?root=/")


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        IsolatedStore(tmp_path / "file", {}, environ=dict(os.environ))


def narinfo_file(directory, version=6):
    file = directory / f"binary-cache-v{version}.sqlite"
    database = sqlite3.connect(file)
    database.executescript(
        """
        create table BinaryCaches (id integer primary key, url text, timestamp integer, storeDir text,
                                   wantMassQuery integer, priority integer);
        create table NARs (cache integer, hashPart text, namePart text, url text, sigs text, ca text,
                           timestamp integer, present integer, narHash text, narSize integer, refs text);
        insert into BinaryCaches values (1, 'http://a', 0, '/nix/store', 1, 30), (2, 'http://b', 0, '', 0, 0);
        insert into NARs values (1, 'ahgq43xbag538xns9db82sb0a2nax7a8', null, null, null, null, 1000, 0,
             null, null, null),
            (2, 'ahgq43xbag538xns9db82sb0a2nax7a8', 'probe', 'nar/x', 'k:a l:b', 'text:x', 2000, 1,
             'sha256:x', 7, 'a b');
        """
    )
    database.commit()
    database.close()
    return file


def test_the_narinfo_cache_says_who_has_a_path_and_who_has_not(tmp_path):
    missing, there = narinfo_cache.lookup(narinfo_file(tmp_path), PATH)
    assert (missing.url, missing.present, missing.asked, missing.signatures) == ("http://a", False, 1000, ())
    assert (there.url, there.present, there.asked) == ("http://b", True, 2000)
    assert (there.signatures, there.content_addressed) == (("k:a", "l:b"), True)
    assert (there.nar_hash, there.nar_size, there.references) == ("sha256:x", 7, ("a", "b"))
    assert narinfo_cache.latest(narinfo_file(tmp_path, 8)) == [there]
    assert narinfo_cache.lookup(narinfo_file(tmp_path, 7), PATH.replace("ahgq", "zzzz")) == []


def test_the_newest_narinfo_cache_comes_first(tmp_path):
    for version in (6, 10, 7):
        narinfo_file(tmp_path, version)
    (tmp_path / "binary-cache-vX.sqlite").write_text("")
    found = [file.name for file in narinfo_cache.find_files(tmp_path)]
    assert found == [f"binary-cache-v{n}.sqlite" for n in ("10", "7", "6", "X")]
    assert narinfo_cache.find_files(tmp_path / "none") == []


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(200)])
def test_a_narinfo_cache_that_is_none_is_said(tmp_path, content):
    file = tmp_path / "binary-cache-v6.sqlite"
    file.write_bytes(content)
    with pytest.raises(NarInfoCacheError):
        narinfo_cache.lookup(file, PATH)
    assert file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_reading_the_narinfo_cache_does_not_disturb_a_writer(tmp_path):
    file = narinfo_file(tmp_path)
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("begin immediate")
    writer.execute("delete from NARs")
    assert len(narinfo_cache.lookup(file, PATH)) == 2
    writer.execute("commit")
    writer.close()
    assert narinfo_cache.lookup(file, PATH) == []


@pytest.mark.parametrize("open_too", [False, True], ids=["nobody has it open", "a writer has it open"])
def test_reading_a_memory_that_writes_ahead_leaves_no_file(tmp_path, open_too):
    file = narinfo_file(tmp_path, 7)
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("pragma journal_mode = wal")
    writer.execute("delete from NARs where present = 0")
    if not open_too:
        writer.close()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert len(before) == (3 if open_too else 1)
    assert len(narinfo_cache.lookup(file, PATH)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    writer.close()


@pytest.mark.parametrize(
    ("environ", "directory"),
    [
        ({"HOME": "/h"}, "/h/.cache/nix"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c/nix"),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c", "NIX_CACHE_HOME": "/n"}, "/n"),
    ],
)
def test_where_nix_keeps_its_caches(environ, directory):
    assert str(narinfo_cache.cache_directory(environ)) == directory


def test_a_netrc_names_its_machines_and_nothing_else():
    text = (
        "machine a login machine password default\nmachine b:443\n\tlogin x\n password y\ndefault login z\n"
    )
    assert netrc.machines(text) == ("a", "b:443", "*")
    assert netrc.machines("machine") == ()
    assert netrc.machines("") == ()


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("Bearer t0ken", "machine h login gfattach password t0ken\n"),
        ("bearer  t0ken ", "machine h login gfattach password t0ken\n"),
        ("Basic dXNlcjpwYXNz", "machine h login user password pass\n"),
        ("Basic OnBhc3M=", "machine h login gfattach password pass\n"),
    ],
)
def test_a_netrc_sends_what_a_header_would(header, line):
    assert netrc.from_headers("h", [("Authorization", header)]) == (line, ())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-token", "abc"),
        ("authorization", "Basic !!!"),
        ("authorization", "Negotiate abc"),
        ("authorization", "Bearer two words"),
        ("authorization", "Bearer"),
        ("authorization", 'Bearer a"b'),
        ("authorization", "Bearer a\nmachine b"),
    ],
)
def test_a_header_that_a_netrc_cannot_send_is_named_and_not_shown(name, value):
    assert netrc.from_headers("h", [(name, value)]) == ("", (name,))


def test_what_a_netrc_could_not_give_back_is_refused():
    with pytest.raises(ValueError, match="white space"):
        netrc.entry("h", "u", "a b")


PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def test_certificates_are_the_same_however_they_are_broken_into_lines(tmp_path):
    one, two = tmp_path / "one.pem", tmp_path / "two.pem"
    one.write_text("# comment\n" + PEM.format("QUJD\nREVG"))
    two.write_bytes(PEM.format("QUJDREVG").replace("\n", "\r\n").encode() + PEM.format("WA==").encode())
    assert authorities.certificates(one) < authorities.certificates(two)
    one.write_text("no certificate")
    assert authorities.certificates(one) == frozenset()


def test_the_setting_comes_before_the_variables(tmp_path):
    environ = {"SSL_CERT_FILE": "/s", "NIX_SSL_CERT_FILE": "/n"}
    assert str(authorities.bundle(Settings({"ssl-cert-file": "/f"}), environ)) == "/f"
    assert str(authorities.bundle(Settings({"ssl-cert-file": ""}), environ)) == "/n"
    assert str(authorities.bundle(Settings({}), {"SSL_CERT_FILE": "/s"})) == "/s"


@pytest.mark.parametrize(
    ("said", "same", "otherwise"),
    [
        ("http://h:81/main", True, False),
        ("http://h:81/main/", True, True),
        ("HTTP://H:81/main", True, True),
        ("http://h:81/main?priority=10", False, True),
        ("http://h:81/other", False, False),
        ("https://h:81/main", False, False),
        ("http://h/main", False, False),
        ("http://h:81/m%61in", True, False),
        ("http://h:81/m%2Fain", False, False),
        ("nonsense", False, False),
        ("", False, False),
    ],
)
def test_which_addresses_lead_to_the_same_cache(said, same, otherwise):
    assert same_cache(said, "http://h:81/main") is same
    assert spelled_otherwise(said, "http://h:81/main") is otherwise


def test_an_address_is_shown_without_its_password():
    assert shown("https://me:secret@cache/x https://t@c") == "https://***@cache/x https://***@c"
    assert shown("https://cache/x") == "https://cache/x"


@pytest.mark.parametrize(
    ("store", "mode", "socket"),
    [
        ("daemon", Mode.DAEMON, "{}/daemon-socket/socket"),
        ("unix:///run/nix.sock?root=/x", Mode.DAEMON, "/run/nix.sock"),
        ("unix://", Mode.DAEMON, "{}/daemon-socket/socket"),
        ("daemon?max-connections=2", Mode.DAEMON, "{}/daemon-socket/socket"),
        ("local", Mode.DIRECT, None),
        ("local?root=/x", Mode.DIRECT, None),
        ("/some/root", Mode.DIRECT, None),
        ("ssh-ng://host", Mode.ELSEWHERE, None),
        ("https://cache", Mode.ELSEWHERE, None),
        ("auto", Mode.DIRECT, None),
    ],
)
def test_who_writes_the_store_follows_from_the_setting(tmp_path, store, mode, socket):
    found = access(store, {"NIX_STATE_DIR": str(tmp_path)})
    assert found.mode is mode
    assert (found.socket and str(found.socket)) == (socket and socket.format(tmp_path))


def test_without_a_state_directory_there_is_no_store_yet_unless_a_daemon_listens(tmp_path):
    environ = {"NIX_STATE_DIR": str(tmp_path / "none")}
    assert access("auto", environ).mode is Mode.NEW
    environ["NIX_DAEMON_SOCKET_PATH"] = str(tmp_path / "socket")
    (tmp_path / "socket").write_text("")
    assert access("auto", environ).mode is Mode.DAEMON


TRUST_WORDS = {
    "2.8": "warning: ignoring untrusted substituter '{}'",
    "2.26": "\x1b[35;1mwarning:\x1b[0m ignoring untrusted substituter '{}', you are not a trusted user.",
}


@pytest.mark.parametrize("words", TRUST_WORDS.values(), ids=TRUST_WORDS)
def test_trust_is_what_the_daemon_does_not_warn_of(tmp_path, words):
    def warn_of(*urls):
        (tmp_path / "said").write_text("".join(f"{words.format(url)}\n" for url in urls))

    nix = fake_nix(tmp_path, f'cat {tmp_path}/said >&2; echo "$@" > {tmp_path}/asked')
    warn_of()
    trust = ask_trust(nix, ["http://a"], Deadline.after(10), os.environ)
    assert (trust.trusted, trust.ignored) == (True, ())
    assert f"--option extra-substituters http://a {UNLISTED}" in (tmp_path / "asked").read_text()
    warn_of(UNLISTED, "https://cache.nixos.org/")
    trust = ask_trust(nix, ["http://a"], Deadline.after(10), os.environ)
    assert (trust.trusted, trust.ignored) == (False, ())
    warn_of("http://a", UNLISTED)
    trust = ask_trust(nix, ["http://a"], Deadline.after(10), os.environ)
    assert (trust.trusted, trust.ignored) == (False, ("http://a",))


def test_a_nix_that_has_only_the_newer_name_of_the_question_is_asked_by_that(tmp_path):
    unknown = "error: 'ping' is not a recognised command"
    nix = fake_nix(tmp_path, f'[ "$1 $2" = "store info" ] || {{ echo "{unknown}" >&2; exit 1; }}')
    assert ask_trust(nix, [], Deadline.after(10), os.environ).trusted


def test_a_daemon_that_cannot_be_asked_is_said(tmp_path):
    nix = fake_nix(tmp_path, "echo 'error: cannot connect to socket: Connection refused' >&2; exit 1")
    with pytest.raises(NixError, match="Connection refused") as caught:
        ask_trust(nix, [], Deadline.after(10), os.environ)
    assert caught.value.code == "nix.daemon"
