"""Every page of the built book in a browser: `make book` builds it, or set SIMAM_EDU_BOOK."""

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pages import ROOT

SITE = Path(os.environ.get("SIMAM_EDU_BOOK", ROOT / "_build" / "html"))
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("book/*.html"))

# What is wider than its place. On a wide screen it may not even scroll; on a phone it may.
CUT = """() => [...document.querySelectorAll(
    '.bd-article :is(pre, table, div.math .formula, .output img, .drawing, .sim-svg)')]
  .filter((node) => node.getClientRects().length)
  .filter((node) => {
    const area = (node.tagName === 'TABLE' ? node.parentElement : node).getBoundingClientRect();
    const narrow = innerWidth < 500;
    const scrolls = narrow &&
      node.closest('pre, .formula, .drawing, .pst-scrollable-table-container');
    if (scrolls && getComputedStyle(scrolls).overflowX === 'auto') return false;
    const inner = node.tagName !== 'TABLE' && node.scrollWidth > node.clientWidth + 1;
    return inner || node.getBoundingClientRect().right > Math.min(area.right, innerWidth) + 1;
  })
  .map((node) => `${node.tagName}: ${node.textContent.trim().slice(0, 60)}`)"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    if not PAGES:
        pytest.skip(f"there is no built book in {SITE}: run make book")
    handler = functools.partial(Quiet, directory=SITE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize(("number", "name"), [*enumerate(PAGES)] or [(0, None)])
def test_page_is_whole(page: Any, site: str, violations: Any, number: int, name: str) -> None:
    """Each page at both widths; theme and first width change from page to page."""
    theme, widths = ("light", "dark")[number % 2], (390, 1280)[:: 1 - number // 2 % 2 * 2]
    foreign: list[str] = []
    own = (site, "data:")
    page.on("request", lambda asked: asked.url.startswith(own) or foreign.append(asked.url))
    page.add_init_script(f"localStorage.mode = localStorage.theme = '{theme}'")
    page.set_viewport_size({"width": widths[0], "height": 900})
    page.goto(site + name)
    assert page.locator("html").get_attribute("data-theme") == theme
    assert page.locator(".sim-figure:not(.sim-live)").count() == 0, "every figure runs"
    assert violations(page) == []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "no sideways scroll"
        assert page.evaluate(CUT) == [], "no cell, equation, table or picture is cut off"
    assert foreign == [], "no request to another host"


def test_what_was_searched_for_is_marked_where_the_search_leads(page: Any, site: str) -> None:
    page.goto(site + "search.html?q=keepdim")
    page.locator("#search-results li a").first.click()
    page.wait_for_function("CSS.highlights.get('searched')?.size")
    text = "(range) => String(range).toLowerCase()"
    marked = page.evaluate(f"[...CSS.highlights.get('searched')].map({text})")
    assert set(marked) == {"keepdim"}
    page.keyboard.press("Escape")
    assert page.evaluate("CSS.highlights.has('searched')") is False


def test_formulas_and_copy_buttons_are_no_stops_of_the_keyboard(page: Any, site: str) -> None:
    page.goto(site + "book/energy.html")
    for selector in ("math", "button.copybtn", ".headerlink"):
        seen = page.locator(f"{selector}:visible")
        stops = seen.evaluate_all("all => all.filter((one) => one.tabIndex >= 0).length")
        assert stops == 0, selector
