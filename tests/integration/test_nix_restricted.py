"""A daemon that does not trust this user: what of the fragment counts, what only makes warnings, and what is
said of bounds, keys, netrc and proxy. Root is whom the daemon does not trust here.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.fragments import nixconf
from gfattach.nix.config import ENABLE_COMMANDS
from gfattach.nix.program import Nix, run
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.nix.stage import STAGE, NixSubject
from tests.harness.machine.nix_home import KEY, TARGET, URL
from tests.harness.machine.nixes import NIX_SECONDS, daemon, private_environment, real_nix

pytestmark = [pytest.mark.nix, pytest.mark.usefixtures("untouched")]

ELSEWHERE = SubstituterTarget(parse_endpoint("http://cache.invalid/main"), (KEY,))


@pytest.fixture(scope="module")
def nix(each_nix) -> Nix:
    return real_nix()


def asked(nix: Nix, environ, target=TARGET, **fields):
    return (
        Run()
        .stage(STAGE, NixSubject(program=str(nix.path), target=target, environ=environ, **fields))
        .findings
    )


@pytest.fixture(scope="module")
def served(nix, tmp_path_factory):
    listed = {"trusted_substituters": URL, "trusted_public_keys": KEY, "download_attempts": "7"}
    with daemon(nix, tmp_path_factory.mktemp("d"), trusted_users="", **listed) as made:
        yield made


def test_the_fragment_makes_no_warning_and_its_substituter_counts(nix, served, tmp_path):
    fragment = tmp_path / "nix.conf"
    own = asked(nix, served.environment)["nix.starts"].data["settings"]
    every = nixconf.render(TARGET, own, netrc_file=tmp_path / "netrc")
    few = nixconf.render(TARGET, own, netrc_file=tmp_path / "netrc", restricted=True)
    said = {}
    for text in (every, few):
        fragment.write_text(text)
        environ = {**served.environment, "NIX_CONFIG": nixconf.include_line(fragment)}
        command = ["store", "ping" if nix.minor < (2, 20) else "info", *ENABLE_COMMANDS]
        done = run(nix.path, command, Deadline.after(NIX_SECONDS), environ)
        said[text] = done.stderr
        assert done.good
    assert ("ignoring the client-specified setting" in said[every]) == (nix.minor >= (2, 26))
    assert "warning" not in said[few].replace("deprecated alias", "") or "ignoring" not in said[few]
    assert "extra-substituters" in few and "connect-timeout" in few
    assert not any(name in few for name in ("attempts", "stalled", "ttl", "public-keys", "netrc-file"))


def test_the_daemons_bounds_and_keys_are_what_is_spoken_of(nix, served):
    found = asked(nix, served.environment)
    assert found["nix.trust"].code == "nix.trust.listed"
    assert (found["nix.keys"].code, found["nix.keys"].status) == ("nix.keys.daemon", Status.SKIP)
    timeouts = found["nix.timeouts"]
    assert timeouts.code == "nix.timeouts.long" and timeouts.data["download-attempts"] == 7
    assert timeouts.data["connect-timeout"] == nixconf.CONNECT_SECONDS, "this one a daemon takes of anybody"
    assert "its daemon" in timeouts.seen and "as its administrator" in timeouts.hints[0]


def test_who_is_trusted_is_told_of_bounds_of_their_own(nix, tmp_path_factory):
    with daemon(nix, tmp_path_factory.mktemp("d"), trusted_users="root") as served:
        found = asked(nix, served.environment)
    assert found["nix.trust"].code == "nix.trust.ok"
    assert found["nix.timeouts"].code == "nix.timeouts.ok" and "its daemon" not in found["nix.timeouts"].seen
    assert found["nix.keys"].code == "nix.keys.ok"


@pytest.mark.parametrize("variable", ["http_proxy", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_shell_is_none_of_the_daemons(nix, served, variable):
    environ = {**served.environment, variable: "http://me:s3cret@proxy.invalid:3128"}
    finding = asked(nix, environ, ELSEWHERE)["nix.proxy"]
    assert (finding.code, finding.status) == ("nix.proxy.daemon", Status.WARN)
    assert "proxy.invalid" in finding.seen and "s3cret" not in str(finding)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"http_proxy": "http://p.invalid", "no_proxy": "cache.invalid"},
        {"https_proxy": "http://p.invalid"},
    ],
    ids=["no proxy", "an exception", "one for another scheme"],
)
def test_where_no_proxy_is_in_between_there_is_nothing_to_say(nix, served, changes):
    assert asked(nix, {**served.environment, **changes}, ELSEWHERE)["nix.proxy"].code == "nix.proxy.ok"


def test_without_a_daemon_the_shells_proxy_is_nixs(nix, tmp_path):
    environ = {**private_environment(tmp_path), "NIX_REMOTE": f"local?root={tmp_path / 'root'}"}
    found = asked(nix, {**environ, "http_proxy": "http://p.invalid"}, ELSEWHERE)
    assert found["nix.proxy"].code == "nix.proxy.ok"


@pytest.mark.parametrize("name", ["NIX_STORE_DIR", "NIX_STORE"])
@pytest.mark.parametrize("directory", ["/opt/nix/store", "/nix/store2"])
def test_a_store_of_another_directory_is_told_and_takes_nothing(nix, tmp_path, name, directory):
    environ = private_environment(tmp_path)
    finding = asked(nix, {**environ, name: directory, "NIX_REMOTE": "local"})["nix.mode"]
    assert (finding.code, finding.status) == ("nix.mode.directory", Status.WARN)
    assert directory in finding.seen and f"unset {name}" in finding.hints[0]


@pytest.mark.parametrize("directory", ["/nix/store", "/nix/store/", "/nix//store"])
def test_the_usual_directory_however_written_is_none(nix, tmp_path, directory):
    environ = {**private_environment(tmp_path), "NIX_REMOTE": f"local?root={tmp_path / 'root'}"}
    assert asked(nix, {**environ, "NIX_STORE_DIR": directory})["nix.mode"].code == "nix.mode.direct"


def test_a_netrc_of_the_systems_that_this_user_may_not_read_is_the_daemons(
    nix, tmp_path_factory, monkeypatch, tmp_path
):
    """Root reads all: that it may not is played by a file whose reading is refused."""
    netrc = tmp_path / "the-systems"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    read = type(netrc).read_text

    def refused(self, *args, **options):
        if self == netrc:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, *args, **options)

    monkeypatch.setattr(type(netrc), "read_text", refused)
    target = replace(TARGET, headers=(("Authorization", "Bearer x"),))
    codes = []
    for theirs in (str(netrc), "/etc/nix/netrc"):
        directory = tmp_path_factory.mktemp("d")
        with daemon(nix, directory, trusted_users="", netrc_file=theirs) as made:
            mine = {**made.environment, "NIX_CONFIG": f"netrc-file = {netrc}"}
            codes.append(asked(nix, mine, target)["nix.netrc"].code)
    assert codes == ["nix.netrc.system", "nix.netrc.unreadable"]
