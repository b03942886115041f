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
ROOT = Path(__file__).parents[2]
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
        "images => Promise.all(images.map(one => one.decode().then(() => one.naturalWidth > 0)))"
    )
    assert widths == [True] * 4


@pytest.mark.parametrize(("size", "layout"), [(DESK, "wide"), (PHONE, "narrow")])
def test_the_first_screen_has_the_sentence_and_the_figure_in_the_layout_of_its_width(opened, size, layout):
    page = opened(size)
    assert page.locator(".answer").bounding_box()["y"] < 150
    (shown,) = [one for one in page.locator("#first img").all() if one.is_visible()]
    assert shown.get_attribute("class") == layout
    box = shown.bounding_box()
    assert box["y"] < 500
    assert box["width"] >= (1000 if layout == "wide" else 350)


def test_typing_leaves_the_rows_and_cards_that_have_every_word(opened):
    page = opened()
    page.get_by_label("Filter the cards").fill("fails attacked")
    assert [one.get_attribute("id") for one in page.locator(".card").all() if one.is_visible()] == ["claim-c0"]
    rows = page.locator("#numbers .filter")
    rows.get_by_label("Filter the rows").fill("b")
    assert [one.is_visible() for one in page.locator(f"{NUMBERS} tbody tr").all()] == [False, True, False, False]
    assert rows.locator("output").inner_text() == "1 of 4"


def test_without_scripts_the_page_is_read_and_offers_no_filter(browser, address):
    page = browser.new_page(viewport=DESK, java_script_enabled=False)
    page.goto(address)
    assert page.get_by_text("1NN keeps 22.7 %").is_visible()
    assert page.locator(".card").count() == 4
    assert not any(one.is_visible() for one in page.locator(".filter").all())
    page.close()


def test_a_table_is_downloaded_from_the_page_itself(opened):
    page = opened()
    with page.expect_download() as found:
        page.get_by_role("link", name="download numbers.csv").click()
    assert found.value.suggested_filename == "numbers.csv"
    assert Path(found.value.path()).read_text().splitlines()[0] == "name,accuracy,time,sign_p"


@pytest.mark.parametrize(
    ("table", "name", "up"),
    [
        (NUMBERS, "accuracy", ["0.125", "0.500", "10.000", "–"]),
        (NUMBERS, "time", ["1e-3 s", "9.5 s", "1,200 s", "–"]),
        (NUMBERS, "sign test, p", ["< 1e-6", "2e-05", "0.25", "–"]),
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


def test_every_table_sorts_by_every_column_and_marks_that_one(opened):
    page = opened()
    for table in (NUMBERS, "#wide table"):
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


def test_on_a_phone_cards_take_the_width_and_nothing_in_them_is_cut(opened):
    page = opened(PHONE)
    card = page.locator("#claim-c3")
    assert 340 <= card.bounding_box()["width"] <= 390
    assert card.evaluate("card => [...card.children].every(one => one.scrollWidth <= one.clientWidth + 1)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_axe_finds_nothing_wrong(opened, size, scheme):
    page = opened(size, scheme)
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    page.locator(f"{NUMBERS} th button").first.click()
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_two_schemes_differ(opened):
    color = "getComputedStyle(document.body).backgroundColor"
    assert opened(scheme="light").evaluate(color) == "rgb(255, 255, 255)"
    assert opened(scheme="dark").evaluate(color) == "rgb(22, 24, 27)"


def test_on_a_phone_every_leaderboard_of_the_published_runs_has_all_its_numbers_in_sight(browser):
    page = browser.new_page(viewport=PHONE)
    page.goto((ROOT / "results" / "index.html").as_uri())
    page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
    boards = page.locator(".wide")
    assert boards.count() > 0
    assert boards.evaluate_all("all => all.every(one => one.scrollWidth <= one.clientWidth)")
    page.close()
