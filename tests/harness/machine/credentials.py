"""What the tests of tokens share: places of their own, and tokens that say something of themselves."""

import base64
import json
import time

import pytest

from gfattach.core import paths, redact


def jwt(**claims) -> str:
    """A JWT with `claims`; its signature is a text, for nobody here verifies it."""

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(claims)}.c2lnbmF0dXJl"


def good_jwt(seconds: int = 7200, **claims):
    return jwt(exp=int(time.time()) + seconds, **claims)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A state directory of its own, no variables for cells, and nothing registered as a secret."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("GF_REAPI_CREDENTIAL_HELPER_TOKEN", raising=False)
    monkeypatch.delenv("GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE", raising=False)
    monkeypatch.setattr(redact, "_known", set())
    assert str(paths.state_directory()).startswith(str(tmp_path))
    return tmp_path
