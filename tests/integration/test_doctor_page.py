"""The page of a diagnosis in a real browser: both colour schemes, wide and on a phone, no network."""

import pytest

from tests.harness.machine import browser

pytestmark = pytest.mark.skipif(
    browser.program() is None, reason=f"no browser; install one: {browser.INSTALL}"
)

#: The ratio of contrast that WCAG 2.2 wants of text (1.4.3), computed in the page as it says there.
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour, below) => {
    canvas.fillStyle = below; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = parts => parts.map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, at) => sum + x * [0.2126, 0.7152, 0.0722][at], 0);
  const probe = document.createElement('i');
  probe.style.color = 'Canvas'; document.body.append(probe);
  const ground = getComputedStyle(probe).color; probe.remove();
  const least = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!text) continue;
    const a = light(rgb(getComputedStyle(element).color, ground)), b = light(rgb(ground, ground));
    least.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.slice(0, 60)]);
  }
  return least.sort((a, b) => a[0] - b[0])[0];
})()
"""


@pytest.fixture(scope="module")
def page():
    with browser.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of a run with a cause, a warning, and text of others that would break a layout or a page."""
    from tests.harness.machine.developer import make_machine

    machine = make_machine(tmp_path_factory.mktemp("page"))
    machine.variables["HTTP_PROXY"] = "http://proxy.invalid:3128"
    (machine.workspace / ".bazelrc").write_text("build --disk_cache=" + "d" * 300 + "\n")
    made = machine.root / "page.html"
    done = machine.run(
        "doctor", "--no-nix", "--cache", "grpc://127.0.0.1:1", "--output", "html", str(made)
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return made


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_all_of_it_can_be_read_in_both_schemes_and_on_a_phone(page, file, width, scheme):
    page.open(file, width=width, scheme=scheme)
    ratio, text = page.value(CONTRAST)
    assert ratio >= 4.5, (ratio, text)
    assert page.value("document.documentElement.scrollWidth") <= width, "nothing stands out to the side"
    assert page.value("parseFloat(getComputedStyle(document.body).fontSize)") >= 14


def test_the_two_schemes_differ(page, file):
    grounds = []
    for scheme in ("light", "dark"):
        page.open(file, width=800, scheme=scheme)
        grounds.append(
            page.value(
                "(() => { const probe = document.createElement('i'); probe.style.color = 'Canvas';"
                "document.body.append(probe); return getComputedStyle(probe).color; })()"
            )
        )
    assert grounds[0] != grounds[1]


def test_the_cause_is_seen_without_scrolling_and_every_finding_that_is_not_well_has_its_fix(page, file):
    page.open(file, width=360, height=740)
    verdict = page.value("document.querySelector('.verdict').getBoundingClientRect().bottom")
    assert verdict < 740
    assert "refused the connection" in page.value("document.querySelector('.verdict').innerText")
    fixes = page.value(
        "[...document.querySelectorAll('.finding.fail, .finding.warn')].map(each => "
        "[...each.querySelectorAll('pre')].map(fix => fix.getBoundingClientRect().height))"
    )
    assert len(fixes) >= 3 and all(heights and min(heights) > 0 for heights in fixes)


def test_the_hops_are_laid_out_in_the_order_of_a_connection(page, file):
    page.open(file, width=1280)
    hops = page.value(
        "[...document.querySelectorAll('.hops li')].map(hop => {"
        "const box = hop.getBoundingClientRect();"
        "return [hop.querySelector('b').innerText, box.left, box.top]})"
    )
    assert [name for name, *_ in hops] == ["this machine", "agent", "API server", "Bazel cache", "Nix cache"]
    assert [left for _, left, _ in hops] == sorted(left for _, left, _ in hops)
    assert len({top for *_, top in hops}) == 1


def test_the_bar_is_filled_by_the_stages(page, file):
    page.open(file, width=1280)
    whole, parts = page.value(
        "[document.querySelector('.bar').clientWidth,"
        "[...document.querySelectorAll('.bar span')].map(part => part.getBoundingClientRect().width)]"
    )
    assert len(parts) > 3 and sum(parts) == pytest.approx(whole, abs=2.0 * len(parts))


def test_it_asks_for_nothing_and_no_script_of_its_own_runs(page, file):
    page.requests.clear()
    page.errors.clear()
    page.open(file, width=800)
    assert page.requests == [file.as_uri()] and page.errors == []
    assert page.value("document.scripts.length") == 0
