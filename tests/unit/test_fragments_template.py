"""Templates: lines without a value go, and take the comment that explained them along."""

import pytest

from gfattach.core.errors import UsageError
from gfattach.fragments import template
from gfattach.fragments.template import render

TEXT = "# for ${who}\n# always\n\n# why a\na = ${a}\n\n# why b and c\nb = ${b}\nc = ${c}\n\nplain\n"


@pytest.fixture(params=["_templates", "../templates"], ids=["installed", "checkout"])
def name(tmp_path, monkeypatch, request):
    package = tmp_path / "package"
    package.mkdir()
    directory = package / request.param
    directory.mkdir()
    (directory / "t").write_text(TEXT)
    monkeypatch.setattr(template, "_PACKAGE", package)
    return "t"


def test_lines_and_paragraphs_without_values_are_left_out(name):
    text = render(name, {"who": "ü", "a": None, "b": None, "c": "$1 ${a}"})
    assert text == "# for ü\n# always\n\n# why b and c\nc = $1 ${a}\n\nplain\n"


def test_a_placeholder_that_nobody_fills_is_an_error_of_the_program(name):
    with pytest.raises(KeyError):
        render(name, {"who": "x"})


def test_an_installation_without_templates_says_how_to_repair_it(name):
    with pytest.raises(UsageError) as caught:
        render("another", {})
    assert "install it again" in caught.value.hints[0]


@pytest.mark.parametrize("own", ["bazelrc", "nix.conf"])
def test_the_projects_own_templates_are_there(own):
    with pytest.raises(KeyError):
        render(own, {})
