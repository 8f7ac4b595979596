"""A Chromium for the tests of this folder, with an eye on what goes wrong in it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from stills import launch  # noqa: E402


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except FileNotFoundError as error:
            pytest.skip(str(error))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A tab, of 1280 px unless the test says so, in which no error may be told."""
    options = getattr(request, "param", {"viewport": {"width": 1280, "height": 900}})
    page = browser.new_page(**options)
    told: list[str] = []

    def note(message: Any) -> None:
        if message.type in ("error", "warning"):
            told.append(f"{message.text} {message.location['url']}")

    page.on("console", note)
    page.on("pageerror", lambda error: told.append(str(error)))
    yield page
    page.close()
    assert not told, "the console stays empty"


@pytest.fixture(scope="session")
def violations() -> Callable[[Any], list[str]]:
    """Return a function that lists what axe finds on a page: rule and place."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def found(page: Any) -> list[str]:
        # Its preload looks for the imports of a style sheet in the wrong folder.
        options = {"preload": False, "resultTypes": ["violations"]}
        rules = axe.run(page, options=options).response["violations"]
        return [f"{rule['id']}: {node['target']}" for rule in rules for node in rule["nodes"]]

    return found
