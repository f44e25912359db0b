"""Where a site keeps external inputs comes to Bazel by the contract's variables and by the fragment."""

import pytest

from gfattach.core.errors import UsageError
from gfattach.fragments.inputs import input_lines
from gfattach.site.inputs import with_site_inputs
from gfattach.site.load import read_alone


def site(tmp_path, **values):
    (tmp_path / "d/layer-1").mkdir(parents=True, exist_ok=True)
    said = {"inputs.distdirs": [f"{tmp_path}/d"], "inputs.repository_cache": f"{tmp_path}/r"} | values
    return read_alone(said, "a file")


def test_the_variables_name_each_layer_and_what_a_shell_says_comes_first(tmp_path):
    found = site(tmp_path)
    assert with_site_inputs({"PATH": "/bin"}, found) == {
        "PATH": "/bin",
        "BAZEL_REPOSITORY_CACHE": f"{tmp_path}/r",
        "BAZEL_DISTDIR": f"{tmp_path}/d:{tmp_path}/d/layer-1",
    }
    own = {"BAZEL_DISTDIR": "/mine", "BAZEL_REPOSITORY_CACHE": "/own"}
    assert with_site_inputs(own, found) == own
    assert with_site_inputs({}, read_alone({}, "a file")) == {}


def test_the_fragment_names_them_for_the_commands_that_load_repositories(tmp_path):
    lines = input_lines(with_site_inputs({}, site(tmp_path))).splitlines()
    assert [line for line in lines if line.startswith("build ")] == [
        f"build --repository_cache={tmp_path}/r",
        f"build --distdir={tmp_path}/d",
        f"build --distdir={tmp_path}/d/layer-1",
    ]
    assert {line.split()[0] for line in lines if line and not line.startswith("#")} == {
        "build",
        "fetch",
        "query",
    }
    assert input_lines({}) == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("inputs.distdirs", ["relative"]),
        ("inputs.distdirs", 5),
        ("inputs.durable", ["tape"]),
        ("inputs.durable", "mirror"),
        ("inputs.verify_days", 0),
        ("inputs.verify_days", True),
        ("inputs.mirror", "ftp://h/x"),
        ("inputs.mirror", "https://user:canary@h/x"),
        ("authority.read", "rustfs"),
        ("authority.read", ["Not A Name"]),
        ("cache.object_store", "forever"),
    ],
)
def test_a_value_that_a_setting_may_not_have_is_refused(key, value):
    with pytest.raises(UsageError) as caught:
        read_alone({key: value}, "a file")
    assert key in caught.value.fact and "canary" not in caught.value.fact
