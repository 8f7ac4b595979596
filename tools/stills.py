"""Draw the pictures that stand for the figures where no script runs.

`python tools/stills.py` opens each figure in Chromium as its page shows it at the start, at the
width of a phone, and what it has drawn becomes `book/_static/figures/NAME.svg`.
"""

import re
import shutil

from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from movable import FOLDER, SHARED, figure_names, scripts_of

WIDTH = 380  # px; letters of 13 px stay legible on a phone
INK = re.compile(r"^[^{}@]*\.sim-svg[^{}]*\{[^{}]*\}", re.MULTILINE)
DARK = 'html[data-theme="dark"] '


def main() -> None:
    """Draw them all."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        for name in figure_names():
            FOLDER.joinpath(f"{name}.svg").write_text(still(page, name), encoding="utf-8")
        browser.close()


def launch(playwright: Playwright) -> Browser:
    """Start Playwright's own Chromium, or else the one of the system.

    Raises:
        FileNotFoundError: If there is none.
    """
    names = (playwright.chromium.executable_path, "chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        raise FileNotFoundError("there is no Chromium: run `playwright install chromium`")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def place(page: Page, *names: str, theme: str = "light", width: int = WIDTH) -> None:
    """Open a page that has nothing but some figures, as the book places them."""
    page.goto("about:blank")  # without what an earlier figure has left
    image = '<img alt="the figure {0}">'
    figure = f'<div class="sim-figure" data-figure="{{0}}" id="fig-{{0}}">{image}</div>'
    divs = "".join(map(figure.format, names))
    colors = {"light": "color: #000; background: #fff", "dark": "color: #eee; background: #121212"}
    style = f"margin: 0 auto; max-width: {width}px; font: 16px/1.6 sans-serif; {colors[theme]}"
    page.set_content(
        f'<!doctype html><html lang="en" data-theme="{theme}"><title>Figures</title>'
        f'<body style="{style}"><main><h1 style="margin: 0">Figures</h1>{divs}</main>'
    )
    page.add_style_tag(path=FOLDER / "figures.css")
    if "live" in names:  # the figure then starts without being asked to load it
        page.add_script_tag(path=FOLDER.parent / "live" / "network.js")
    for name in (*SHARED, *scripts_of(names)):
        page.add_script_tag(path=FOLDER / f"{name}.js")


def still(page: Page, name: str) -> str:
    """Return what a figure draws at its start, as a picture that follows light and dark."""
    page.set_viewport_size({"width": WIDTH, "height": 800})
    place(page, name)
    style = ""
    for rule in INK.findall((FOLDER / "figures.css").read_text(encoding="utf-8")):
        dark = f"@media (prefers-color-scheme: dark) {{{rule.strip().replace(DARK, '')}}}"
        style += dark if DARK in rule else rule
    svg = page.locator(".sim-svg").evaluate("node => new XMLSerializer().serializeToString(node)")
    height = page.locator(".sim-svg").evaluate("node => node.viewBox.baseVal.height")
    start, _, rest = svg.partition(">")
    size = f' width="{WIDTH}" height="{height:g}"'
    return f"{start}{size}><style>{' '.join(style.split())}</style>{rest}\n"


if __name__ == "__main__":
    main()
