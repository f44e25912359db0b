"""Publishing a site, and reading it back, with an operator's and a developer's rights."""

from __future__ import annotations

import datetime
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gfattach.cli import main
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.manifests import NAMESPACE

CA = Path(__file__).parents[1] / "unit/data/site-ca.pem"
KEY = "main:" + "A" * 43 + "="
PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps/gfattach-site"
TEXT = f"""\
# what the operator knows
[site]
name = "the bed"

[cluster]
context = "bed"

[cache]
endpoint = "grpcs://bazel-cache.example.org"
service = "bazel-cache"
service_port = "grpc"
ca_file = "{CA}"

[nix]
service = "attic"
public_keys = ["{KEY}"]
object_store = "interim_only"
"""

PAGE = (Path(__file__).parents[2] / "docs/site.md").read_text(encoding="utf-8")

#: What the page says that a developer and an operator need.
DEVELOPER_RULES, OPERATOR_RULES = (
    yaml.safe_load(block)["rules"] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> Iterator[Path]:
    """A directory with an operator's file, a home of its own, and no ConfigMap in the cluster afterwards."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/config"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.toml").write_text(TEXT)
    yield tmp_path
    cluster.admin.delete(PATH)


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main.run(["site", *args])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def test_what_an_operator_publishes_a_developer_reads(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    operator = cluster.user("operator", OPERATOR_RULES)
    code, out, err = run(capsys, "publish", "site.toml", "--kubeconfig", str(operator))
    assert code == 0, err
    assert f"published: the ConfigMap {NAMESPACE}/gfattach-site on {cluster.server}" in out
    undo = f"kubectl --kubeconfig {operator} --context bed -n {NAMESPACE} delete configmap gfattach-site"
    assert undo in out

    reader = cluster.user("reader", DEVELOPER_RULES)
    code, out, err = run(capsys, "show", "--cluster", "--kubeconfig", str(reader), "-o", "json")
    assert code == 0, err
    result = json.loads(out)["result"]
    source = f"the ConfigMap {NAMESPACE}/gfattach-site"
    assert result["profile"] == f"{source} was read"
    assert result["site"]["cache.endpoint"] == {
        "value": "grpcs://bazel-cache.example.org:443",
        "source": source,
    }
    assert result["site"]["cache.ca_data"]["value"] == CA.read_text()
    assert result["site"]["nix.public_keys"]["value"] == [KEY]
    assert "cluster.context" not in result["site"]


def test_a_developers_own_word_goes_before_the_profile(
    cluster: Cluster, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "publish", "site.toml", "--kubeconfig", str(cluster.admin_kubeconfig))
    arguments = ("--kubeconfig", str(cluster.kubeconfig), "--cache", "grpc://mine:1", "-o", "json")
    _, out, _ = run(capsys, "show", "--cluster", *arguments)
    site = json.loads(out)["result"]["site"]
    assert site["cache.endpoint"]["source"] == "an option" and "cache.service" not in site
    assert site["nix.service"]["value"] == "attic"


def test_a_dry_run_is_what_the_api_server_would_store(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `kubectl apply -f -` makes of it: the API server takes it, and adds nothing but metadata."""
    _, out, _ = run(capsys, "publish", "site.toml", "--dry-run")
    manifest = yaml.safe_load(out)
    assert not cluster.admin.exists(PATH)
    stored = cluster.apply(manifest)
    run(capsys, "publish", "site.toml", "--kubeconfig", str(cluster.admin_kubeconfig))
    published = cluster.admin.get(PATH)
    for made in (stored, published):
        assert made["data"] == manifest["data"]
        assert made["metadata"]["labels"] == manifest["metadata"]["labels"]
    assert published["metadata"]["uid"] == stored["metadata"]["uid"]


def test_publishing_again_changes_what_changed_and_removes_what_is_gone(
    cluster: Cluster, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ("--kubeconfig", str(cluster.admin_kubeconfig))
    run(capsys, "publish", "site.toml", *to)
    (home / "site.toml").write_text('[cache]\nservice = "other"\n')
    code, _, err = run(capsys, "publish", "site.toml", *to)
    assert code == 0, err
    assert cluster.admin.get(PATH)["data"] == {"gfattach.toml": '[cache]\nservice = "other"\n'}


def test_who_may_not_publish_is_told_which_right_is_missing(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "publish", "site.toml", "--kubeconfig", str(cluster.kubeconfig))
    assert (code, out) == (1, "")
    assert f"may not create configmaps, patch configmaps in namespace {NAMESPACE}" in err
    patch_only = cluster.user("half", [{**OPERATOR_RULES[0], "verbs": ["patch"]}])
    code, _, err = run(capsys, "publish", "site.toml", "--kubeconfig", str(patch_only))
    assert code == 1 and f"half may not create configmaps in namespace {NAMESPACE}" in err
    assert not cluster.admin.exists(PATH)


def test_who_may_not_publish_is_shown_the_role_that_an_operator_applies_and_then_may(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = cluster.user("aspirant", [])
    code, out, _ = run(capsys, "publish", "site.toml", "--kubeconfig", str(nobody), "-o", "json")
    error = json.loads(out)["error"]
    assert (code, error["code"]) == (1, "cluster.rights.missing")
    [command] = error["hints"]
    manifest = yaml.safe_load(shlex.split(command.partition("<<<")[2])[0])
    assert manifest["items"][0]["rules"] == OPERATOR_RULES
    for item in manifest["items"]:
        cluster.apply(item)
    cluster.wait_for_rights("aspirant", OPERATOR_RULES)
    code, _, err = run(capsys, "publish", "site.toml", "--kubeconfig", str(nobody))
    assert code == 0, err


def test_who_may_not_read_the_configmap_is_told_so(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = cluster.user("nobody", [])
    code, out, err = run(capsys, "show", "--cluster", "--kubeconfig", str(nobody))
    assert (code, out) == (1, "") and 'cannot get resource "configmaps"' in err
    expired = cluster.user("late", OPERATOR_RULES, lifetime=datetime.timedelta(hours=-1))
    code, _, err = run(capsys, "publish", "site.toml", "--kubeconfig", str(expired))
    assert code == 1 and not cluster.admin.exists(PATH)


def test_a_cluster_without_a_profile_says_how_it_gets_one(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "show", "--cluster", "--verbose", "--kubeconfig", str(cluster.kubeconfig))
    assert code == 0 and out.endswith(f"the ConfigMap {NAMESPACE}/gfattach-site is not there\n")
    assert "gfattach site publish" in err


def test_a_profile_that_somebody_broke_by_hand_is_an_error_that_names_it(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    for data, says in (
        ({"cache.service": "bazel-cache"}, "has no entry gfattach.toml"),
        ({"gfattach.toml": "[cache]\nendpoint = 'grpc://u:S3cr@h'"}, "a user or password"),
        ({"gfattach.toml": "[cluster]\ncontext = 'x'"}, "cluster.context concerns one machine only"),
    ):
        metadata = {"name": "gfattach-site", "namespace": NAMESPACE}
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        code, out, err = run(capsys, "show", "--cluster", "--kubeconfig", str(cluster.kubeconfig))
        assert (code, out) == (2, "") and "S3cr" not in err
        assert f"the ConfigMap {NAMESPACE}/gfattach-site" in err and says in err
