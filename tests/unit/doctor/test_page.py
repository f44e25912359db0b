"""The page: self-contained, nothing runs, no text of others is markup; hops and stages by their state."""

from html.parser import HTMLParser

from gfattach.doctor.page import page
from tests.unit.doctor.test_notes import finding, run, stage


class Reader(HTMLParser):
    """What a parser of Python's own makes of a page: tags with attributes, and texts."""

    def __init__(self, document):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts = [], []
        self.feed(document)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


HOSTILE = '<script>alert(1)</script> " onload="x'
READ = Reader(
    page(
        run(
            stage("machine", finding("machine.disk")),
            stage("cluster", finding("cluster.reach", "fail", HOSTILE, hints=[HOSTILE])),
        )
    )
)


def test_nothing_of_others_text_is_markup_and_nothing_is_loaded():
    assert not {tag for tag, _ in READ.tags} & {"script", "img", "link", "iframe"}
    assert not [attrs for _, attrs in READ.tags if {"src", "href", "onload"} & set(attrs)]
    assert HOSTILE in READ.texts


def test_each_hop_has_its_state():
    hops = [attrs["class"] for tag, attrs in READ.tags if tag == "li"]
    assert hops == ["ok", "skip", "fail", "skip", "skip"]


def test_the_bar_has_a_part_for_each_stage_and_they_add_up():
    parts = [attrs["style"] for tag, attrs in READ.tags if tag == "span" and "style" in attrs]
    assert sum(float(part.removeprefix("width:").removesuffix("%")) for part in parts) == 100.0
