"""The report as a reader has it: opened from disk in a browser, sorted, on a phone, in the dark, and by axe's rules."""

import os
import shutil
from pathlib import Path

import pytest

from made.report import made_report
from nnrobust.report.report import render

pytestmark = pytest.mark.slow

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
CLAIMS = "table.claims"
NUMBERS = "#numbers table"


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("NNROBUST_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH, and NNROBUST_CHROMIUM names none")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(render(made_report()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def opened(browser, address):
    """Opens the page; whatever it asks for beside itself, or complains about, fails the test."""
    faults, pages = [], []

    def open_page(size: dict[str, int] = DESK, scheme: str = "light"):
        page = browser.new_page(viewport=size, color_scheme=scheme)
        pages.append(page)
        page.on("request", lambda one: one.url == address or one.url.startswith("data:") or faults.append(one.url))
        page.on("console", lambda one: faults.append(one.text))
        page.on("pageerror", lambda one: faults.append(str(one)))
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def column(page, table: str, name: str) -> list[str]:
    """The texts of a column from top to bottom; of a cell with several lines, the first."""
    place = header(page, table, name).evaluate("element => element.cellIndex")
    texts = page.locator(f"{table} tbody tr").evaluate_all(
        "(rows, place) => rows.map(row => row.cells[place].innerText)", place
    )
    return [text.strip().splitlines()[0] for text in texts]


def header(page, table: str, name: str):
    return page.locator(f"{table} th", has=page.get_by_role("button", name=name, exact=True))


def test_the_page_opens_from_disk_and_every_picture_is_drawn(opened):
    page = opened()
    assert page.title() == "Claims and numbers"
    widths = page.locator("img").evaluate_all(
        "images => Promise.all(images.map(one => one.decode().then(() => one.naturalWidth)))"
    )
    assert widths == [40, 1200]


def test_claims_sort_by_verdict_at_a_click_and_turn_round_at_the_next(opened):
    page = opened()
    verdict = header(page, CLAIMS, "Verdict")
    assert verdict.get_attribute("aria-sort") is None
    verdict.get_by_role("button").click()
    assert column(page, CLAIMS, "Verdict") == ["✓ holds", "✓ holds", "✗ fails", "? cannot tell", "○ not run"]
    assert verdict.get_attribute("aria-sort") == "ascending"
    verdict.get_by_role("button").click()
    assert column(page, CLAIMS, "Verdict") == ["○ not run", "? cannot tell", "✗ fails", "✓ holds", "✓ holds"]
    assert verdict.get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize(
    ("table", "name", "up"),
    [
        (NUMBERS, "accuracy", ["0.125", "0.500", "10.000", "–"]),
        (NUMBERS, "time", ["1e-3 s", "9.5 s", "1,200 s", "–"]),
        (CLAIMS, "Here", ["-3.2 points", "9.5 %", "22.7 %", "100 %", "–"]),
    ],
)
def test_a_column_sorts_by_number_from_the_keyboard_with_gaps_last(opened, table, name, up):
    page = opened()
    one = header(page, table, name)
    one.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(page, table, name) == up
    assert one.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert column(page, table, name) == [*up[-2::-1], "–"]
    assert one.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Space")
    assert column(page, table, name) == up


def test_texts_sort_with_their_numbers_as_numbers_and_words_after_numbers(opened):
    page = opened()
    header(page, CLAIMS, "Where").get_by_role("button").click()
    assert column(page, CLAIMS, "Where")[:2] == ["figure 6", "figure 10"]
    header(page, CLAIMS, "Paper").get_by_role("button").click()
    assert column(page, CLAIMS, "Paper") == ["90 %"] * 4 + ["ahead"]


def test_equal_cells_keep_the_order_they_had(opened):
    page = opened()
    for name in ("Here", "Verdict"):
        header(page, CLAIMS, name).get_by_role("button").click()
    ids = page.locator(f"{CLAIMS} tbody tr").evaluate_all("rows => rows.map(row => row.id)")
    assert ids == [f"claim-c{i}" for i in (4, 2, 0, 3, 1)]


def test_every_table_sorts_by_every_column_and_marks_that_one(opened):
    page = opened()
    for table in (CLAIMS, NUMBERS, "#wide table"):
        buttons = page.locator(f"{table} th button")
        for place in range(buttons.count()):
            buttons.nth(place).click()
            marked = page.locator(f"{table} th").evaluate_all("all => all.map(one => one.ariaSort)")
            assert [i for i, sort in enumerate(marked) if sort] == [place]


@pytest.mark.parametrize("size", [PHONE, {"width": 820, "height": 1180}, DESK])
def test_the_page_never_scrolls_sideways(opened, size):
    page = opened(size)
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]


def test_a_wide_table_scrolls_in_its_own_region_by_the_keyboard(opened):
    page = opened(PHONE)
    region = page.get_by_role("region", name="Many columns")
    region.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("PageDown")
    page.wait_for_function("([one]) => one.scrollLeft > 0 && one.scrollTop > 0", arg=[region.element_handle()])


def test_on_a_phone_claims_are_cards_that_still_sort(opened):
    page = opened(PHONE)
    row = page.locator("#claim-c3")
    assert row.bounding_box()["width"] <= 390
    assert row.evaluate("row => [...row.cells].every(one => one.scrollWidth <= one.clientWidth)")
    header(page, CLAIMS, "Verdict").get_by_role("button").click()
    assert column(page, CLAIMS, "Verdict")[0] == "✓ holds"
    assert page.get_by_role("columnheader", name="Verdict").get_attribute("aria-sort") == "ascending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_axe_finds_nothing_wrong(opened, size, scheme):
    page = opened(size, scheme)
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    page.locator(f"{CLAIMS} th button").first.click()
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_two_schemes_differ(opened):
    color = "getComputedStyle(document.body).backgroundColor"
    assert opened(scheme="light").evaluate(color) == "rgb(255, 255, 255)"
    assert opened(scheme="dark").evaluate(color) == "rgb(22, 24, 27)"
