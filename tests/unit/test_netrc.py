"""The netrc of an attachment: the user's own kept, ours first and for one machine."""

import os
import stat

import pytest

from gfattach.fragments.netrc import write_netrc
from gfattach.nix.netrc import machines, merge, read

OWN = (
    "# mine\n"
    "machine one.example login me password machine\n"
    'machine two.example\n\tlogin you\n\tpassword "a b"\n\n'
    "macdef init\nmachine not.example\nput x\n\n"
    "default login anonymous password guest\n"
)
TOKEN = "canary-token"
ADDRESS = "127.3.4.5"


def test_a_netrc_is_taken_apart_as_curl_does():
    reading = read(OWN)
    assert reading.machines == ("one.example", "two.example", "*")
    assert reading.problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("machine", "it ends behind the keyword machine"),
        ("machine a login", "it ends behind the keyword login"),
        ("login me password canary", "line 1 has a login that belongs to no machine"),
        ("machine a login me\npassword canary canary2", "line 2 has a word that is no keyword"),
        ("\nhttps://canary", "line 2 has a word that is no keyword"),
    ],
)
def test_what_is_no_netrc_is_named_by_its_line_and_not_repeated(text, problem):
    assert problem in read(text).problems
    assert not any("canary" in problem for problem in read(text).problems)


def test_ours_stands_first_and_the_users_own_is_untouched():
    text = merge(OWN, ADDRESS, TOKEN)
    assert text == f"machine {ADDRESS} login gfattach password {TOKEN}\n{OWN}"
    assert machines(text)[0] == ADDRESS


def test_curl_sends_each_machine_its_own(tmp_path):
    """The one reader that counts here besides Nix's own, which is the same library."""
    import http.server
    import shutil
    import subprocess
    import threading

    if shutil.which("curl") is None:
        pytest.skip("apt-get install curl")
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization", "none"))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    file = tmp_path / "netrc"
    file.write_text(merge("machine 127.0.0.2 login a password b\nmacdef init\nunended", ADDRESS, TOKEN))
    servers = [
        http.server.HTTPServer((address, 0), Handler) for address in (ADDRESS, "127.0.0.2", "127.0.0.3")
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        host, port = server.server_address  # type: ignore[misc]
        command = ["curl", "-s", "--noproxy", "*", "--netrc-file", str(file), f"http://{host}:{port}/"]  # type: ignore[str-bytes-safe]
        assert subprocess.run(command, timeout=20).returncode == 0
        server.shutdown()
        server.server_close()
    assert seen == ["Basic Z2ZhdHRhY2g6Y2FuYXJ5LXRva2Vu", "Basic YTpi", "none"]


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_it_is_written_for_this_user_alone_whatever_the_umask(tmp_path, umask):
    own = tmp_path / "own"
    own.write_text(OWN)
    before = os.umask(umask)
    try:
        written = write_netrc(tmp_path / "made/netrc", own, ADDRESS, TOKEN)
    finally:
        os.umask(before)
    assert written.path == tmp_path / "made/netrc"
    assert stat.S_IMODE(written.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.path.parent.stat().st_mode) == 0o700
    assert written.path.read_text().endswith(OWN)
    assert [finding.code for finding in written.findings] == ["nix.netrc.written"]
    assert own.read_text() == OWN


@pytest.mark.parametrize("existing", [None, "none"])
def test_without_a_netrc_of_the_users_it_is_ours_alone(tmp_path, existing):
    written = write_netrc(tmp_path / "netrc", existing and tmp_path / existing, ADDRESS, TOKEN)
    assert written.path.read_text() == f"machine {ADDRESS} login gfattach password {TOKEN}\n"


def test_bytes_that_are_no_text_are_kept(tmp_path):
    own = tmp_path / "own"
    own.write_bytes(b"machine a login \xff password \xfe\n")
    assert write_netrc(tmp_path / "netrc", own, ADDRESS, TOKEN).path.read_bytes().endswith(own.read_bytes())


def test_a_malformed_netrc_is_taken_over_as_it_is_and_named(tmp_path):
    own = tmp_path / "own"
    own.write_text("machine a login me password canary canary\n")
    written = write_netrc(tmp_path / "netrc", own, ADDRESS, TOKEN)
    assert written.path.read_text().endswith(own.read_text())
    assert [finding.code for finding in written.findings] == ["nix.netrc.written", "nix.netrc.malformed"]
    assert "canary" not in repr(written.findings)


def refused(tmp_path, existing=None, machine=ADDRESS, token=TOKEN):
    """The finding of a netrc that is not written, nor left from an earlier attach."""
    place = tmp_path / "netrc"
    place.write_text("an earlier one")
    written = write_netrc(place, existing, machine, token)
    assert written.path is None and not place.exists()
    (finding,) = written.findings
    assert finding.why and finding.hints and token not in repr(finding)
    return finding


def test_an_entry_of_the_users_own_for_the_machine_stays_and_ours_is_not_made(tmp_path):
    own = tmp_path / "own"
    own.write_text(f"machine {ADDRESS} login me password mine\n")
    finding = refused(tmp_path, own)
    assert (finding.code, finding.status) == ("nix.netrc.taken", "warn")
    assert own.read_text() == f"machine {ADDRESS} login me password mine\n"


def test_an_entry_of_the_users_own_counts_in_capitals_too(tmp_path):
    own = tmp_path / "own"
    own.write_text("machine Cache.Example login me password mine\n")
    written = write_netrc(tmp_path / "netrc", own, "cache.example", TOKEN)
    assert written.path is None and written.findings[0].code == "nix.netrc.taken"


def test_a_netrc_that_cannot_be_read_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for odd in (tmp_path, pipe, "/proc/self/mem"):
        finding = refused(tmp_path, type(tmp_path)(odd))
        assert (finding.code, finding.status) == ("nix.netrc.unreadable", "fail")


@pytest.mark.parametrize("machine", ["127.0.0.1", "localhost", "::1", "default", ""])
def test_a_machine_that_every_server_here_shares_is_refused(tmp_path, machine):
    assert refused(tmp_path, machine=machine).code == "nix.netrc.shared"


@pytest.mark.parametrize("machine", ["127.3.4.5:80", "a b", 'a"b'])
def test_a_machine_that_would_never_match_is_refused(tmp_path, machine):
    assert refused(tmp_path, machine=machine).code == "nix.netrc.machine"


def test_a_token_that_curl_could_not_read_back_is_refused(tmp_path):
    assert refused(tmp_path, token='canary"token').code == "nix.netrc.word"
