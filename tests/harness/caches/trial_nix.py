"""The trial's Nix cache, running for the tests of a module, which import `server` by name."""

import pytest

from gfattach.trial.nix_server import NixCacheServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with NixCacheServer(tmp_path_factory.mktemp("trial")) as running:
        yield running
