"""What an operator's ConfigMap has a machine trust, through real attaches: named, changed, accepted."""

import pytest

from tests.harness.cluster.developer import developer_machine, fill, leaving_nothing
from tests.harness.cluster.manifests import NAMESPACE
from tests.harness.machine.developer import findings

OLD, NEW = (f"{name}:{letter * 43}=" for name, letter in (("main", "A"), ("later", "B")))
PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps/gfattach-site"
UP = ("up", "--no-bazel", "--no-nix")


@pytest.fixture
def publish(cluster, tmp_path):
    """Has an operator publish a site with these keys; the ConfigMap is gone at the end."""
    operator = developer_machine(tmp_path / "operator", cluster)

    def published(*keys):
        text = f"[cache]\nservice = 'bazel-cache'\n[nix]\npublic_keys = {list(keys)}\n"
        (operator.workspace / "site.toml").write_text(text)
        done = operator.run("site", "publish", "site.toml", "--kubeconfig", str(cluster.admin_kubeconfig))
        assert done.returncode == 0, done.stderr

    yield published
    cluster.admin.delete(PATH)


@pytest.fixture
def machine(cluster, tmp_path, tmp_path_factory):
    fill(tmp_path_factory.mktemp("operator"), cluster, "--no-bazel")
    with leaving_nothing(developer_machine(tmp_path / "developer", cluster)) as made:
        yield made


def test_keys_that_were_added_since_are_named_and_refused_until_the_option_accepts_them(machine, publish):
    publish(OLD)
    named = [f for f in findings(machine.json(*UP)).values() if f["code"] == "site.trusted"]
    assert any(OLD in f["seen"] and "ConfigMap" in f["seen"] for f in named)

    publish(OLD, NEW)
    error = machine.json(*UP, code=3)["error"]
    assert error["code"] == "site.changed"
    said = " ".join(error["hints"])
    assert f"before {OLD} (from" in said and f"now {OLD} {NEW} (from" in said and "--accept-site" in said
    assert machine.json("status")["result"]["healthy"] is True  # what was attached is left as it was

    accepted = findings(machine.json(*UP, "--accept-site"))
    [changed] = [f for f in accepted.values() if f["code"] == "site.changed.accepted"]
    assert changed["status"] == "warn" and OLD in changed["seen"] and NEW in changed["seen"]
    assert not any(f["code"].startswith("site.changed") for f in findings(machine.json(*UP)).values())


def test_at_a_terminal_a_person_is_asked_shown_old_and_new_and_obeyed(machine, publish):
    publish(OLD)
    machine.json(*UP)
    publish(OLD, NEW)
    code, shown = machine.at_terminal(*UP, expect="accept it?", answer="n")
    assert code == 3 and "--accept-site" in shown
    code, shown = machine.at_terminal(*UP, expect="accept it?", answer="y")
    asked = "".join(shown.partition("has changed since the last attach")[2].split())
    assert code == 0 and f"before{OLD}" in asked and f"now{OLD}{NEW}" in asked
    code, shown = machine.at_terminal(*UP, expect="accept it?", answer="n")
    assert code == 0 and "accept it?" not in shown
