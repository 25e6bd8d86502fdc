"""The HTML report: complete, self-contained, and safe with hostile names."""

import math
import re
from html.parser import HTMLParser

import pytest
import torch

from initcore.audit import audit
from initcore.html import report

HOSTILE = '</code><script>alert("x")</script><img src=x onerror=alert(1)>&amp;'


class Tags(HTMLParser):
    """The tags, attributes and text of a page; fails on tags that do not close."""

    VOID = frozenset({"meta", "br", "rect"})

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page():
    g = torch.Generator().manual_seed(0)
    w = torch.randn(64, 64, generator=g)
    state = {
        "h.0.mlp.up_proj.weight": w,
        "h.1.mlp.up_proj.weight": w.clone(),
        "h.2.mlp.up_proj.weight": torch.full((8, 8), math.nan),
        "h.0.mlp.up_proj.bias": torch.zeros(64),
        HOSTILE: torch.randn(9, 9, generator=g),
        "whole": torch.arange(3),
        "tiny": 1e-30 * torch.randn(99, generator=g),
        "16-bit": torch.randn(999, generator=g).bfloat16(),
    }
    return report(audit(state, "auto"))


def test_findings_come_first_and_everything_is_there(page):
    tags = Tags(page)
    text = "".join(tags.text)
    assert page.index("<h2>Findings") < page.index("bit-identical") < page.index("<h2>Tensors")
    assert "uninitialised memory" in text
    assert "int64 is not measured" in text
    assert HOSTILE in text
    assert tags.tags.count("svg") == 5
    assert {"role", "aria-label"} <= {name for name, _ in tags.attributes}


def test_nothing_is_requested_and_nothing_runs(page):
    tags = Tags(page)
    assert {"script", "img", "link", "iframe", "object", "a"} & set(tags.tags) == set()
    names = {name for name, _ in tags.attributes}
    assert not {"src", "href", "style"} & names
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?:", page)


def test_it_is_light_and_dark(page):
    assert "prefers-color-scheme: dark" in page
    assert "color-scheme: light dark" in page


def test_bars_of_a_histogram_stay_in_its_picture(page):
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', page)]
    assert max(heights) == 24
    assert len(heights) > 60


def test_a_model_without_findings():
    text = report(audit(torch.nn.LayerNorm(8), "torch"))
    assert "Nothing amiss." in text
