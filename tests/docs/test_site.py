"""The docs site: its examples, its notebooks, and that its pages load nothing from elsewhere."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from made.pages import examples_of, run_examples
from made.project import ROOT

DOCS = ROOT / "docs"
LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "link": "href",
    "source": "src",
    "video": "src",
    "object": "data",
}
ELSEWHERE = re.compile(r"^(https?:)?//")


class Requests(HTMLParser):
    """What a page asks for when it is opened, and its inline styles."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        about = dict(attrs)
        if tag == "link" and about.get("rel") in ("canonical", "next", "prev"):
            return
        if LOADING.get(tag) in about:
            self.found.append(about[LOADING[tag]])
        self.found += [part.split()[0] for part in (about.get("srcset") or "").split(",") if part.strip()]


def requests_of(text):
    parser = Requests()
    parser.feed(text)
    return [
        *parser.found,
        *re.findall(r"url\(\s*[\"']?([^\"')]+)", text),
        *re.findall(r"@import\s+[\"']([^\"']+)", text),
    ]


def test_a_page_that_loads_a_font_a_script_or_a_picture_from_elsewhere_is_found():
    text = '<link rel="stylesheet" href="https://a/x.css"><script src="//b/y.js"></script><style>@import "https://c";</style>'
    assert [bool(ELSEWHERE.match(one)) for one in requests_of(text)] == [True, True, True]
    assert not [one for one in requests_of('<a href="https://a">a</a><img src="x.png">') if ELSEWHERE.match(one)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index", "radius", "compare"])
def test_the_examples_of_a_page_print_what_it_shows(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = DOCS / f"{name}.md"
    examples = examples_of(page)
    assert examples
    for (_, shown), printed in zip(examples, run_examples(page), strict=True):
        assert plain(printed) == plain(shown)


def plain(text):
    """A text without the numbers of trained networks, which differ between processors in a digit, and without widths."""
    return [
        re.sub(r"[\d.]+", "#", line).split() if line.strip().startswith("network ") else line.split()
        for line in text.splitlines()
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built strictly."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
def test_no_page_of_the_site_loads_anything_from_elsewhere(site):
    pages = [path for path in site.rglob("*.html") if path.name != "report.html"]
    assert len(pages) > 20
    for path in [*pages, *site.rglob("*.css")]:
        assert [one for one in requests_of(path.read_text(encoding="utf-8")) if ELSEWHERE.match(one)] == [], path


@pytest.mark.slow
def test_every_page_of_docs_is_in_the_site_and_the_api_has_every_public_name(site):
    import nnrobust

    for path in DOCS.glob("*.md"):
        assert (site / f"{path.stem}.html").exists(), path
    api = (site / "api.html").read_text(encoding="utf-8")
    for name in nnrobust.__all__:
        assert re.search(rf'id="nnrobust\.{name}"', api), name
    assert "robust_radius" in api
    assert "The exact distance in" in api


@pytest.mark.slow
def test_notebooks_are_run_and_their_outputs_are_on_their_pages_and_in_their_files(site):
    for path in (ROOT / "notebooks").glob("*.py"):
        page = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        cells = json.loads((site / "notebooks" / f"{path.stem}.ipynb").read_text(encoding="utf-8"))["cells"]
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        assert {output["output_type"] for output in outputs} == {"stream", "display_data"}, path
        assert f"{path.stem}-1.png" in page
        assert (site / "notebooks" / f"{path.stem}-1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_links_to_published_runs_lead_to_files_of_the_site(site):
    found = re.findall(r'href="(results/[^"#]+|metrics/[^"#]+)', (site / "results.html").read_text(encoding="utf-8"))
    assert len(found) > 5
    assert [one for one in found if not (site / one).exists()] == []
