"""Netrcs at the edge of their format: whom gfattach takes them to name, and what a real Nix sends."""

import base64
import os
import shutil
import subprocess

import pytest

from gfattach.nix import netrc
from gfattach.nix.isolated import IsolatedStore
from tests.harness.machine.nixes import real_nix
from tests.harness.substituters.binary_caches import INFO, SIGNED, answer, serving

pytestmark = [
    pytest.mark.nix,
    pytest.mark.usefixtures("each_nix"),
    pytest.mark.skipif(shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin"),
]

#: What Nix says of a netrc that curl cannot read to its end.
BROKEN = "Failed to open/read local data from file"
OURS = "machine localhost login a password b\n"


def lenient() -> bool:
    """Whether this Nix has a curl of today (8), which reads on where 7 gives up."""
    return real_nix().minor >= (2, 26)


def sent(tmp_path, text):
    """What Nix sends to localhost with this netrc, as `login:password`; None for none. And what it says."""
    requests = []
    with serving({"/nix-cache-info": answer(INFO)}, requests=requests) as port:
        settings = {"substituters": f"http://localhost:{port}", "download-attempts": "1"}
        with IsolatedStore(tmp_path, settings, netrc=text, environ=dict(os.environ)) as store:
            args = ["nix-store", "-r", str(SIGNED)]
            done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=60)
    for line in b"\n".join(requests).decode().splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "authorization":
            return base64.b64decode(value.split()[1]).decode(), done.stderr
    return None, done.stderr


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("machine LocalHost login a password b\n", True),
        ("MACHINE localhost LOGIN a PASSWORD b\n", True),
        ("Default login a password b\n", True),
        ("machine other login x password y # machine localhost login x password y\n", False),
        ("machine other login x password #y\n" + OURS, True),
        ("# a\u2028" + OURS, False),
        ('machine "localhost" login a password "b"\n', True),
    ],
)
def test_whom_it_names_is_whom_nix_sends_to(tmp_path, text, named):
    assert (sent(tmp_path, text)[0] == "a:b") == named
    reading = netrc.read(text)
    assert bool({"localhost", "*"} & set(reading.machines)) == named and reading.broken is None


@pytest.mark.parametrize(
    "text",
    ["macdef x\r\nfoo\r\n\r\n" + OURS, "machine other login x\u00a0y password z\n" + OURS],
    ids=["a macro that ends with a carriage return", "a space that is none of ASCII's"],
)
def test_what_is_behind_them_is_read_but_by_a_curl_8_13(tmp_path, text):
    assert netrc.read(text).machines[-1] == "localhost"
    assert sent(tmp_path, text)[0] == (None if real_nix().minor == (2, 26) else "a:b")


def test_a_macro_is_taken_to_go_on_to_an_empty_line_though_spaces_end_it_for_a_curl_of_today(tmp_path):
    text = "macdef x\nfoo\n \n" + OURS
    assert netrc.machines(text) == ()
    assert sent(tmp_path, text)[0] == ("a:b" if lenient() else None)


@pytest.mark.parametrize("first", [OURS, ""])
def test_a_quotation_that_is_not_closed_ends_every_request_to_whom_nothing_before_it_is_for(tmp_path, first):
    text = first + 'machine other login a password "b\n' + OURS
    credentials, said = sent(tmp_path, text)
    assert (credentials is None) == (first == "")
    assert (BROKEN in said) == (first == "" and not lenient())
    reading = netrc.read(text)
    assert ("localhost" in reading.machines) == (first != "")
    assert reading.broken == len(text.splitlines()) - 1


def test_a_token_that_is_taken_for_an_entry_arrives_and_a_longer_one_is_refused(tmp_path):
    taken = netrc.LINE_LIMIT - len(netrc.entry("localhost", "a", "x")) + 1
    assert sent(tmp_path, netrc.entry("localhost", "a", "x" * taken))[0] == f"a:{'x' * taken}"
    with pytest.raises(ValueError, match=str(netrc.LINE_LIMIT)):
        netrc.entry("localhost", "a", "x" * (taken + 1))
    longer = sent(tmp_path, f"machine localhost login a password {'x' * (taken + 1)}\n")[0]
    assert longer == (f"a:{'x' * (taken + 1)}" if lenient() else None)


def test_a_token_that_looks_like_a_comment_is_refused_as_not_every_nix_would_send_it(tmp_path):
    with pytest.raises(ValueError, match="comment"):
        netrc.entry("localhost", "a", "#b")
    assert sent(tmp_path, "machine localhost login a password #b\n")[0] == ("a:#b" if lenient() else "a:")
