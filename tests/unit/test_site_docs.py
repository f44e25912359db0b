"""docs/site.md says all there is: every setting, every code, and the rights that the code asks for."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from gfattach.probes.cluster.rights import RULES
from gfattach.site.lint import CODES, lint
from gfattach.site.settings import BY_KEY, SETTINGS

PAGE = (Path(__file__).parents[2] / "docs/site.md").read_text(encoding="utf-8")


def row(first):
    (found,) = [
        line for line in PAGE.splitlines() if line.startswith(f"| `{first}` | ") and line.count("|") != 3
    ]
    return [cell.strip() for cell in found.strip("|").split("|")]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_a_setting_is_described_with_its_meaning_an_example_and_its_default(setting):
    _, meaning, example, default, where = row(setting.key)
    assert meaning == setting.meaning + (f" (variable `{setting.variable}`)" if setting.variable else "")
    assert example == f"`{setting.example}`"
    raw = tomllib.loads(f"x = {default.strip('`')}")["x"] if default else None
    assert (tuple(raw) if isinstance(raw, list) else raw) == setting.default
    assert (where == "one machine") == setting.local


def test_the_page_names_no_setting_that_is_not_there():
    named = set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| .*\|.*\|.*\|.*\|$", PAGE, re.MULTILINE))
    assert named == set(BY_KEY)


def test_a_code_is_described_with_its_meaning():
    described = dict(re.findall(r"^\| `(site\.lint\.[a-z-]+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert described == dict(CODES)


def test_the_example_of_a_site_is_one_without_faults():
    blocks = re.findall(r"(?:^    .*\n|^\n)+", PAGE, re.MULTILINE)
    (text,) = [block for block in blocks if "[site]" in block]
    text = "\n".join(line.removeprefix("    ") for line in text.splitlines())
    assert [finding.code for finding in lint(text.encode(), "page", tracked=True)] == ["site.lint.reads-only"]


def test_the_developers_role_is_what_the_rights_probe_asks_for():
    developer, publisher = (
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    )
    assert developer["rules"] == RULES
    assert publisher["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch"]}
    ]
