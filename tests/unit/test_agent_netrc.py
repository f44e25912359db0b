"""The netrc of an attachment follows the user's: rotated, replaced, gone, back."""

from __future__ import annotations

import pytest

from gfattach.agent.guard.netrc import Netrcs
from gfattach.agent.model.spec import FollowedNetrc, Registration
from gfattach.fragments.netrc import write_netrc

MACHINE = "127.7.7.7"


@pytest.fixture
def followed(tmp_path) -> FollowedNetrc:
    source, path = tmp_path / "own", tmp_path / "home" / "netrc"
    source.write_text("machine other login a password hour-1\n")
    written = write_netrc(path, source, MACHINE, "t0ken")
    assert written.source == source
    return FollowedNetrc(path, source)


@pytest.mark.parametrize(
    "change",
    [
        lambda source: source.write_text("machine other login a password hour-2\n"),
        lambda source: _beside(source, "machine other login a password hour-3\n").replace(source),
        lambda source: source.write_text(""),
        lambda source: source.write_text("machine one login a password b\nmachine two login c password d\n"),
    ],
    ids=["written anew", "replaced", "emptied", "with more entries"],
)
def test_it_holds_what_the_users_holds_and_the_token_before_that(followed, change):
    netrcs = Netrcs()
    netrcs.follow([followed])
    ours = f"machine {MACHINE} login gfattach password t0ken\n"
    assert followed.path.read_text() == ours + followed.source.read_text()
    change(followed.source)
    netrcs.follow([followed])
    assert followed.path.read_text() == ours + followed.source.read_text()
    assert followed.path.stat().st_mode & 0o777 == 0o600


def _beside(source, text):
    made = source.with_name("new")
    made.write_text(text)
    return made


def test_a_users_netrc_that_is_gone_and_comes_back_is_followed(followed):
    netrcs = Netrcs()
    text = followed.source.read_text()
    followed.source.unlink()
    netrcs.follow([followed])
    assert "other" not in followed.path.read_text() and "t0ken" in followed.path.read_text()
    followed.source.write_text(text)
    netrcs.follow([followed])
    assert followed.path.read_text().endswith(text)


def test_one_that_is_undone_is_not_made_again(followed):
    netrcs = Netrcs()
    netrcs.follow([followed])
    followed.path.unlink()
    followed.source.write_text("machine other login a password hour-2\n")
    netrcs.follow([followed])
    assert not followed.path.exists()


def test_nothing_is_written_while_nothing_changes(followed):
    netrcs = Netrcs()
    netrcs.follow([followed])
    before = followed.path.stat()
    netrcs.follow([followed])
    assert (followed.path.stat().st_ino, followed.path.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def test_a_registration_keeps_it_in_its_json(followed, tmp_path):
    registration = Registration(tmp_path / "record", (), netrcs=(followed,))
    assert Registration.from_json(registration.as_json()) == registration
    assert Registration.from_json({**registration.as_json(), "netrcs": []}).netrcs == ()
