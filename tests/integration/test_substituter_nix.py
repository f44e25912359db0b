"""What the stage "substituter" says of Nix is what a real Nix does with the same cache."""

import os
import shutil
import subprocess

import pytest
from msgspec.structs import replace

from gfattach.nix.isolated import IsolatedStore
from gfattach.trial.nix_documents import SIGNED as DERIVATION
from tests.harness.machine import faulty_servers as faults
from tests.harness.substituters.binary_caches import INFO, KEY, PROBE, SIGNED, answer, signed, signed_info
from tests.harness.substituters.cases import CASES
from tests.harness.substituters.cases_content import SIGNATURE, nothing_published
from tests.harness.substituters.stage import TRUSTED, ask, authority, rig

__all__ = ["authority", "rig"]


@pytest.mark.skipif(shutil.which("nix-instantiate") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
def test_the_command_that_an_operator_is_given_makes_the_probe_path(rig, tmp_path):
    hint = ask(nothing_published(rig))["substituter.narinfo"].hints[0]
    command = hint.removeprefix("operator: ")
    with IsolatedStore(tmp_path, {}, environ=dict(os.environ)) as store:
        done = subprocess.run(
            ["sh", "-c", f"{command}; echo $P"], env=store.environment, capture_output=True, text=True
        )
        assert done.stdout.strip() == str(PROBE), done.stderr
        assert (store.root / str(PROBE)[1:]).exists()


#: What Nix makes of a failure: it goes on without the cache and says so, or says nothing, or ends.
WITHOUT_THE_CACHE = "don't know how to build"
#: Its words are those of one Nix or another, parted by a bar.
NIX_DOES = [
    ("resolve", "unknown", "resolve host"),
    ("port", "refused", "connect to server"),
    ("port", "silent", "Timeout was reached"),
    ("protocol", "tls-for-plain", "warning: unable to download"),
    ("protocol", "closed", "warning: unable to download"),
    ("protocol", "silent", "Timeout was reached"),
    ("protocol", "unknown", "warning: unable to download"),
    ("info", "absent", "does not appear to be a binary cache"),
    ("info", "store", "is for Nix stores with prefix '/gnu/store', not '/nix/store'"),
    ("info", "unauthorised", "does not appear to be a binary cache|HTTP error 401"),
    ("info", "forbidden", "does not appear to be a binary cache|HTTP error 403"),
    ("info", "error", "warning: unable to download"),
    ("info", "status", "warning: unable to download"),
    ("info", "bad-host", "warning: unable to download"),
    ("info", "in-cluster", "warning: unable to download"),
    ("info", "redirect", "warning: unable to download"),
    ("narinfo", "unauthorised", ""),
    ("narinfo", "forbidden", ""),
    ("narinfo", "hidden", ""),
    ("narinfo", "absent", ""),
    ("narinfo", "mismatch", "error: "),
    ("narinfo", "error", "error: unable to download"),
    ("narinfo", "status", "error: unable to download"),
    ("narinfo", "bad-host", "error: unable to download"),
    ("narinfo", "broken", "error: unable to download"),
    ("narinfo", "in-cluster", "error: unable to download"),
    ("narinfo", "redirect", "error: unable to download"),
    ("narinfo", "login", "is corrupt"),
    ("narinfo", "malformed", "is corrupt"),
    ("nar", "unauthorised", "does not exist in binary cache"),
    ("nar", "absent", "does not exist in binary cache"),
    ("nar", "error", "error: unable to download"),
    ("nar", "bad-host", "error: unable to download"),
    ("nar", "in-cluster", "error: unable to download"),
    ("nar", "redirect", "error: unable to download"),
    ("nar", "truncated", "error: unable to download"),
    ("nar", "corrupt", "error: "),
    ("nar", "size", "error: "),
    ("nar", "hash", "error: "),
]

#: Those of which the answer may depend on the Nix and on its curl.
OF_EACH_NIX = [
    row
    for row in NIX_DOES
    if row[:2]
    in {
        ("resolve", "unknown"),
        ("port", "refused"),
        ("info", "absent"),
        ("info", "store"),
        ("info", "unauthorised"),
        ("info", "error"),
        ("narinfo", "unauthorised"),
        ("narinfo", "error"),
        ("narinfo", "login"),
        ("nar", "absent"),
        ("nar", "corrupt"),
    }
]


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
@pytest.mark.parametrize(("name", "end", "says"), [row for row in NIX_DOES if row not in OF_EACH_NIX])
def test_what_a_finding_says_of_nix_is_what_nix_does(rig, tmp_path, name, end, says):
    hold_to_nix(rig, tmp_path, name, end, says)


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
@pytest.mark.parametrize(("name", "end", "says"), OF_EACH_NIX)
def test_what_a_finding_says_of_nix_is_what_each_nix_does(each_nix, rig, tmp_path, name, end, says):
    hold_to_nix(rig, tmp_path, name, end, says)


def hold_to_nix(rig, tmp_path, name, end, says):
    """Have the Nix at hand ask a cache that fails so, and compare."""
    target = CASES[f"substituter.{name}.{end}"](rig)
    finding = ask(target, rig.seconds)[f"substituter.{name}"]
    assert finding.code == f"substituter.{name}.{end}"
    settings = {
        "substituters": target.endpoint.url,
        "trusted-public-keys": " ".join(target.public_keys),
        "download-attempts": "1",
        "connect-timeout": "2",
        "stalled-download-timeout": "2",
    }
    authority = {} if target.ca_file is None else {"NIX_SSL_CERT_FILE": str(target.ca_file)}
    with IsolatedStore(tmp_path / "nix", settings, variables=authority, environ=dict(os.environ)) as store:
        done = subprocess.run(
            ["nix-store", "-r", target.probe_path],
            env=store.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode != 0
    assert any(words in done.stderr for words in says.split("|")), done.stderr
    # A Nix that goes on without the cache comes to say that there is nothing to build the path of.
    ends = "ends the build" in finding.why
    assert (WITHOUT_THE_CACHE in done.stderr) == (not ends)
    if "says nothing" in finding.why:
        assert done.stderr.startswith(WITHOUT_THE_CACHE)


#: A derivation that needs nothing to be built.
EXPRESSION = (
    f'derivation {{ name = "{DERIVATION.name}"; system = "builtin"; builder = "builtin:buildenv"; '
    'derivations = [ ]; manifest = "/dev/null"; }'
)

#: What Nix says of a signature, and whether it goes on and builds what it could have fetched.
NOT_SIGNED = "not signed by any of the keys in 'trusted-public-keys'"
NIX_SAYS_OF_A_SIGNATURE = [
    ("unsigned", NOT_SIGNED, True),
    ("wrong-key", NOT_SIGNED, True),
    ("unknown-key", NOT_SIGNED, True),
    ("key-name", NOT_SIGNED, True),
    ("key-hidden", NOT_SIGNED, True),
    ("no-keys", NOT_SIGNED, True),
    ("malformed", "error: signature is not valid", False),
    ("key-malformed", "error: public key is not valid", False),
]


@pytest.mark.skipif(shutil.which("nix-build") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
@pytest.mark.parametrize(("end", "says", "builds"), NIX_SAYS_OF_A_SIGNATURE)
def test_what_a_finding_says_of_a_signature_is_what_nix_does(each_nix, rig, tmp_path, end, says, builds):
    """Asked for a derivation that it could build as well, whose output the cache offers."""
    rig.path = DERIVATION.output_path
    target = SIGNATURE[f"substituter.signature.{end}"](rig)
    finding = ask(target)["substituter.signature"]
    assert finding.code == f"substituter.signature.{end}"
    settings = {
        "substituters": target.endpoint.url,
        "trusted-public-keys": " ".join(target.public_keys),
        "max-jobs": "1",
        "sandbox-paths": "",  # a store of its own has a sandbox, with a shell that may be missing
    }
    with IsolatedStore(tmp_path / "nix", settings, environ=dict(os.environ)) as store:
        args = ["nix-build", "--no-out-link", "-E", EXPRESSION]
        done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
    assert says in done.stderr
    assert (done.returncode == 0) == builds == ("builds it here" in finding.why), finding.why


@pytest.mark.skipif(shutil.which("nix-build") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
def test_a_narinfo_that_fails_ends_even_a_build_that_needs_no_cache(each_nix, rig, tmp_path):
    codes = {}
    for status in (403, 404, 503):
        target = rig.cache({"/nix-cache-info": answer(INFO), "*": answer(b"", status)})
        own = {"download-attempts": "1", "max-jobs": "1", "sandbox-paths": ""}
        settings = {"substituters": target.endpoint.url, **own}
        with IsolatedStore(tmp_path / str(status), settings, environ=dict(os.environ)) as store:
            args = ["nix-build", "--no-out-link", "-E", EXPRESSION]
            done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
        codes[status] = done.returncode
    assert (codes[403], codes[404]) == (0, 0)
    assert codes[503] != 0


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
def test_nix_asks_a_proxy_for_this_machine_until_it_is_told_not_to(rig, tmp_path):
    target = rig.cache(rig.good())
    rig.proxied(f"http://127.0.0.1:{rig.stack.enter_context(faults.refusing())}")
    finding = ask(target)["substituter.proxy"]
    assert finding.code == "substituter.proxy.loopback"
    settings = {
        "substituters": target.endpoint.url,
        "trusted-public-keys": TRUSTED,
        "download-attempts": "1",
    }
    outcomes = []
    for prefix in ("", f"{finding.hints[0]}; "):
        environment = {"http_proxy": os.environ["http_proxy"]}
        store_of = tmp_path / str(len(outcomes))
        with IsolatedStore(store_of, settings, variables=environment, environ=os.environ) as store:
            args = ["sh", "-c", f"{prefix}nix-store -r {SIGNED}"]
            done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
        outcomes.append(done.returncode == 0)
    assert outcomes == [False, True]


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin")
@pytest.mark.nix
@pytest.mark.parametrize(
    ("bad", "code", "comes"),
    [("test-1:AAAA", "malformed", False), ("stranger-1:AAAA", "ok", True)],
    ids=["a name that is known", "a name that is not"],
)
def test_beside_a_good_signature_a_bad_one_matters_by_its_name(each_nix, rig, tmp_path, bad, code, comes):
    info = signed(signed_info(), KEY)
    target = rig.published(replace(info, signatures=(*info.signatures, bad)))
    assert ask(target)["substituter.signature"].code == f"substituter.signature.{code}"
    settings = {"substituters": target.endpoint.url, "trusted-public-keys": TRUSTED}
    with IsolatedStore(tmp_path / "nix", settings, environ=dict(os.environ)) as store:
        args = ["nix-store", "-r", str(SIGNED)]
        done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == comes, done.stderr
