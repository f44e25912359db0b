"""What is kept, where, with which mode, and the order in which places are looked at."""

import json
import os
import stat
import subprocess
import sys

import pytest

from gfattach.core.errors import CredentialError, StorageError
from gfattach.credential import index, sources, tokens
from gfattach.credential.codes import CODES
from gfattach.credential.file_store import FileStore, credential_directory
from gfattach.credential.jwt import Claims
from gfattach.credential.store import STORES, open_store
from tests.harness.machine.credentials import good_jwt, jwt, place  # noqa: F401

pytestmark = pytest.mark.usefixtures("place")


def stored(host, token):
    FileStore().save(host, token)
    index.put(index.Entry(host, "file", None))


def test_the_file_keeps_a_token_a_host_and_goes_with_the_last():
    store = FileStore()
    assert store.load("a") is None and store.delete("a") is False
    store.save("a", "first")
    store.save("b", "second")
    store.save("a", "third")
    assert (store.load("a"), store.load("b")) == ("third", "second")
    assert store.delete("a") and not store.delete("a")
    assert store.delete("b")
    assert not store.path.exists()


@pytest.mark.parametrize(
    ("note", "found"),
    [
        ({"store": "nowhere", "claims": None}, {}),
        ({"store": ["file"], "claims": None}, {}),
        ("file", {}),
        ({"store": "file"}, {"a": index.Entry("a", "file", None)}),
        (
            {"store": "file", "claims": {"expires": "soon", "subject": 3, "audience": [1, "b"]}},
            {"a": index.Entry("a", "file", Claims(audience=("b",)))},
        ),
    ],
)
def test_a_note_that_nobody_can_make_sense_of_is_none_and_of_a_half_good_one_the_good_half_is(note, found):
    credential_directory().mkdir(parents=True)
    index.path().write_text(json.dumps({"hosts": {"a": note}}))
    assert index.entries() == found


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_files_are_0600_and_directories_0700_whatever_the_umask(umask):
    before = os.umask(umask)
    try:
        stored("cache.example", "canary-token")
    finally:
        os.umask(before)
    directory = credential_directory()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {f.name: stat.S_IMODE(f.stat().st_mode) for f in directory.iterdir()} == {
        "tokens.json": 0o600,
        "index.json": 0o600,
        "lock": 0o600,
    }


def test_a_file_of_another_user_is_not_used(monkeypatch):
    FileStore().save("a", "token")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(CredentialError) as caught:
        FileStore().load("a")
    assert caught.value.code == "credential.file.open"


def test_a_file_that_others_may_read_is_not_used_and_not_written_to():
    store = FileStore()
    store.save("a", "first")
    store.path.chmod(0o640)
    for call in (lambda: store.load("a"), lambda: store.save("b", "second"), lambda: store.delete("a")):
        with pytest.raises(CredentialError) as caught:
            call()
        assert caught.value.code == "credential.file.open"
    assert json.loads(store.path.read_text()) == {"a": "first"}


@pytest.mark.parametrize("content", ["[]", '{"a": 1}'])
def test_a_file_that_is_none_of_tokens_is_named_and_left_alone(content):
    store = FileStore()
    store.save("a", "first")
    store.path.write_text(content)
    with pytest.raises(CredentialError) as caught:
        store.save("b", "second")
    assert caught.value.code == "credential.file.format"
    assert store.path.read_text() == content


def test_a_file_that_is_cut_off_is_a_storage_error():
    store = FileStore()
    store.save("a", "first")
    store.path.write_text('{"a": "fir')
    with pytest.raises(StorageError):
        store.load("a")


def test_the_note_holds_no_token_and_what_it_says_comes_back():
    claims = Claims(5, 4, "ci", ("cache",), ("read",))
    index.put(index.Entry("b", "keyring", claims))
    stored("a", "canary-token")
    assert index.entries() == {
        "a": index.Entry("a", "file", None),
        "b": index.Entry("b", "keyring", claims),
    }
    assert "canary" not in index.path().read_text()
    assert index.forget("a") and not index.forget("a")
    assert list(index.entries()) == ["b"]


@pytest.mark.parametrize("note", ["[]", '{"hosts": 1}', '{"hosts": {"a": {}}}', '{"hosts": {"a": 1}}'])
def test_a_note_that_makes_no_sense_counts_as_none(note):
    index.put(index.Entry("a", "file", None))
    index.path().write_text(note)
    assert index.entries() == {}


def test_two_processes_that_store_at_once_lose_nothing(place):  # noqa: F811
    script = (
        "import sys; from gfattach.credential import index\n"
        "from gfattach.credential.file_store import FileStore\n"
        "for n in range(10): FileStore().save(f'{sys.argv[1]}{n}', 'x'); "
        "index.put(index.Entry(f'{sys.argv[1]}{n}', 'file', None))"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, name]) for name in ("a", "b")]
    assert [child.wait(60) for child in both] == [0, 0]
    assert len(index.entries()) == 20
    assert len(json.loads(FileStore().path.read_text())) == 20


def test_a_store_that_is_none_is_named():
    assert [type(open_store(name)).__name__ for name in STORES] == ["KeyringStore", "FileStore"]
    with pytest.raises(CredentialError) as caught:
        open_store("clipboard")
    assert caught.value.code == "credential.store"


def test_a_host_is_found_by_its_url_and_a_host_without_a_token_has_none():
    stored("cache.example", "canary-token")
    assert tokens.token_for("grpcs://Cache.Example:443", {}) == "canary-token"
    assert tokens.headers_for("cache.example:1", {}) == (("authorization", "Bearer canary-token"),)
    assert tokens.token_for("other.example", {}) is None and tokens.headers_for("other.example", {}) == ()
    assert tokens.has_token("cache.example", {}) and not tokens.has_token("other.example", {})
    assert "canary" not in repr(tokens.find("cache.example", {}))


def test_a_cell_has_a_token_by_its_variables_and_by_the_platforms_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DEFAULT_FILE", tmp_path / "mounted")
    cell = "gf-reapi-cell-1"
    named = {"BAZEL_REMOTE_CACHE": f"grpcs://{cell}"}
    assert not tokens.has_token(cell, named)
    assert tokens.has_token(cell, {**named, "GF_REAPI_CREDENTIAL_HELPER_TOKEN": "t"})
    (tmp_path / "mounted").write_text("mounted-token")
    assert tokens.has_token(cell, named) and not tokens.has_token("cache.example", named)
    assert not tokens.has_token(cell, {})
    assert tokens.token_for(cell, named) == "mounted-token"


def test_a_cells_variables_come_before_what_was_stored():
    stored("gf-reapi-cell-1", "stored-token")
    environ = {
        "GF_REAPI_CREDENTIAL_HELPER_TOKEN": "variable-token",
        "BAZEL_REMOTE_CACHE": "grpcs://gf-reapi-cell-1",
    }
    assert tokens.token_for("gf-reapi-cell-1", environ) == "variable-token"
    assert tokens.token_for("gf-reapi-cell-1", {}) == "stored-token"


def test_an_expired_token_is_refused_and_not_passed_over():
    stored("cache.example", jwt(exp=1_000))
    with pytest.raises(CredentialError) as caught:
        tokens.token_for("cache.example", {})
    assert caught.value.code == "credential.expired"
    stored("cache.example", good_jwt())
    assert tokens.find("cache.example", {}).claims.expires is not None


def test_a_token_that_is_gone_from_its_store_is_named():
    stored("cache.example", "canary-token")
    FileStore().delete("cache.example")
    with pytest.raises(CredentialError) as caught:
        tokens.token_for("cache.example", {})
    assert caught.value.code == "credential.gone"
    assert "login cache.example" in caught.value.hints[0]


def test_every_code_that_the_sources_write_has_a_meaning_and_every_meaning_a_code():
    import re
    from pathlib import Path

    import gfattach

    root = Path(gfattach.__file__).parent
    files = [*(root / "credential").glob("*.py"), root / "fragments/netrc.py"]
    files += [root / "operator/credentials.py", root / "attach/bazel/token.py"]
    files += [root / "attach/bazel/client.py"]
    text = "".join(f.read_text() for f in files if f.name != "codes.py")
    written = set(re.findall(r'"((?:credential|nix\.netrc)\.[a-z.-]+)"', text))
    assert written - {"nix.netrc.unreadable"} == set(CODES)  # that one is a probe's too
