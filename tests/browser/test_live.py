"""The network in the page computes what torch does with its weights, and keeps to itself."""

import base64
from typing import Any

import numpy as np
import pytest
import torch

import live_weights
from browser.live_torch import CONTENT, forward, orders_of, painted, state
from movable import FOLDER, SHARED, scripts_of
from simam_edu import datasets
from stills import place

SAMPLES = live_weights.samples_of(CONTENT)
OWN = ["own"] * 9
CHANNELS, AREAS = [16] * 3 + [32] * 3 + [64] * 3, [1024] * 3 + [256] * 3 + [64] * 3

RUN = """([pictures, lam, choices, bent]) => {
  const network = ResNet.read(liveNetwork);
  if (bent) network.arrays[bent][0] += 0.5;
  const base64 = (v) => {
    const bytes = new Uint8Array(Float32Array.from(v).buffer);
    let text = '';
    for (let i = 0; i < bytes.length; i += 4096)
      text += String.fromCharCode(...bytes.subarray(i, i + 4096));
    return btoa(text);
  };
  return pictures.map((picture) => {
    const { logits, blocks } = ResNet.forward(network, picture, { lam, choices });
    return [[...logits], blocks.map(({ gains }) => base64(gains))];
  });
}"""


@pytest.fixture(scope="module")
def run(browser: Any) -> Any:
    """Return a function of pictures that gives the logits and gains of the page's network."""
    page = browser.new_page()
    page.add_script_tag(path=live_weights.SCRIPT)
    for name in ("simam", "resnet"):
        page.add_script_tag(path=FOLDER / f"{name}.js")

    def of(
        pictures: np.ndarray, lam: float = 1e-4, choices: list[str] = OWN, bent: str | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        flat = pictures.reshape(len(pictures), -1).tolist()
        found = page.evaluate(RUN, [flat, lam, choices, bent])
        logits = np.array([row for row, _ in found])
        gains = [
            np.array([np.frombuffer(base64.b64decode(row[k]), np.float32) for _, row in found])
            for k in range(9)
        ]
        return logits, gains

    of.orders = orders_of(page)  # type: ignore[attr-defined]
    yield of
    page.close()


def hundred() -> np.ndarray:
    """Return the sixteen pictures of the page and 84 drawn ones."""
    return np.concatenate([SAMPLES, datasets.load("shapes", "test").images[: 100 - len(SAMPLES)]])


def test_logits_and_gains_of_100_pictures_are_those_of_torch(run: Any) -> None:
    pictures = hundred()
    wanted, _, wanted_gains = forward(pictures, 1e-4, OWN, run.orders, torch.float32)
    for start in range(0, 100, 10):
        part = slice(start, start + 10)
        logits, gains = run(pictures[part])
        np.testing.assert_allclose(logits, wanted[part], atol=1e-3, rtol=0)
        for found, of_torch in zip(gains, wanted_gains, strict=True):
            of_part = of_torch[part].reshape(found.shape)
            np.testing.assert_allclose(found, of_part, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "bent", ["stem.weight", "1.2.conv2.weight", "2.1.shortcut.bias", "3.3.norm.weight", "head.bias"]
)
def test_one_bent_weight_is_seen(run: Any, bent: str) -> None:
    wanted, _, _ = forward(SAMPLES[:2], 1e-4, OWN, run.orders, torch.float32)
    assert np.abs(run(SAMPLES[:2], bent=bent)[0] - wanted).max() > 1e-3


MIXED = ["own", "off", "averaged", "shuffled", "own", "off", "averaged", "shuffled", "own"]


@pytest.mark.parametrize("lam", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize("choices", [MIXED, MIXED[::-1], ["shuffled"] * 9, ["off"] * 9])
def test_changed_modules_are_those_of_torch(run: Any, lam: float, choices: list[str]) -> None:
    wanted, _, wanted_gains = forward(SAMPLES[:2], lam, choices, run.orders)
    logits, gains = run(SAMPLES[:2], lam, choices)
    np.testing.assert_allclose(logits, wanted, rtol=1e-8, atol=1e-8)
    for found, of_torch in zip(gains, wanted_gains, strict=True):
        np.testing.assert_allclose(found, of_torch.reshape(found.shape), atol=1e-6, rtol=0)


def test_shuffled_gains_stay_in_their_channel(run: Any) -> None:
    for channels, area, orders in zip(CHANNELS, AREAS, run.orders, strict=True):
        assert np.array_equal(np.sort(orders, axis=1), np.tile(np.arange(area), (channels, 1)))
        assert len({tuple(order) for order in orders}) == channels


PNG = """([side, wide]) => {
  const canvas = Object.assign(document.createElement('canvas'), { width: wide, height: side });
  const pen = canvas.getContext('2d');
  pen.fillStyle = 'rgb(10, 20, 30)';
  pen.fillRect(0, 0, wide, side);
  pen.fillStyle = 'rgb(200, 100, 50)';
  pen.fillRect((wide - side) / 2, 0, side / 2, side);  // the left half of the square in the middle
  return canvas.toDataURL('image/png').split(',')[1];
}"""


def give(page: Any, way: str, content: bytes, kind: str = "image/png") -> None:
    """Choose, drop or paste a file."""
    if way == "choose":
        page.locator("input[type=file]").set_input_files(
            {"name": "x.png", "mimeType": kind, "buffer": content}
        )
        return
    page.evaluate(
        """([way, text, kind]) => {
          const data = new DataTransfer();
          const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          data.items.add(new File([bytes], 'x.png', { type: kind }));
          const options = { bubbles: true, cancelable: true };
          if (way === 'drop') document.querySelector('.sim-svg')
            .dispatchEvent(new DragEvent('drop', { ...options, dataTransfer: data }));
          else document.dispatchEvent(
            new ClipboardEvent('paste', { ...options, clipboardData: data }));
        }""",
        [way, base64.b64encode(content).decode(), kind],
    )


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_picture_is_cropped_to_its_middle_square_and_goes_nowhere(page: Any, way: str) -> None:
    place(page, "live", width=688)
    asked: list[str] = []
    own = ("data:", "blob:")
    page.on("request", lambda request: request.url.startswith(own) or asked.append(request.url))
    content = base64.b64decode(page.evaluate(PNG, [96, 160]))
    give(page, way, content)
    page.wait_for_selector(""".sim-figure[data-state*='own","edition']""")
    found = painted(page)
    # The browser's own resampling takes a little of what stands beside.
    assert np.ptp(found[:, :, :15] - np.array([200, 100, 50])[:, None, None]) <= 3
    assert np.ptp(found[:, :, 17:] - np.array([10, 20, 30])[:, None, None]) <= 3
    assert asked == [], "no request"


def test_what_is_no_picture_is_refused_in_words_and_changes_nothing(page: Any) -> None:
    place(page, "live", width=688)
    before = state(page)
    give(page, "choose", b"no picture")
    page.get_by_text("take a PNG or JPEG").wait_for()
    assert state(page) == before


@pytest.mark.parametrize("hand", ["mouse", "keys"])
def test_a_pen_paints_pixels_and_the_logits_follow(page: Any, run: Any, hand: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 1600})  # the whole figure is in sight
    place(page, "live", width=688)
    page.get_by_role("button", name="White picture").click()
    page.get_by_role("radio", name="red").check()
    knob = page.get_by_role("slider", name="place on the picture")
    box = knob.locator(".sim-knob").bounding_box()
    if hand == "keys":
        for _ in range(8):
            knob.press("ArrowRight")
    else:
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2 + 50, box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()
    found = painted(page)
    assert set(map(tuple, found.reshape(3, -1).T)) == {(255, 255, 255), (200, 30, 30)}
    row = found[1, state(page)["row"]]
    assert 8 <= (row == 30).sum() <= 12, "a line without gaps"
    if hand == "keys":  # where the pen is lifted nothing is painted
        at = state(page)
        page.get_by_role("radio", name="none").check()
        for _ in range(10):
            knob.press("ArrowDown")
        page.get_by_role("radio", name="red").check()
        knob.press("ArrowRight")
        found = painted(page)
        assert (found[1, at["row"] + 3 : at["row"] + 8] == 255).all()
        assert (found[1, at["row"] + 10] == 30).any()
    shown = float(page.locator("[data-value=logit]").inner_text().replace("\u2212", "-"))
    assert shown == pytest.approx(forward(found[None], 1e-4, OWN, run.orders)[0].max(), abs=1e-3)


def test_the_network_comes_when_it_is_asked_for(page: Any) -> None:
    names = (*SHARED, *scripts_of(["live"]))
    sources = {f"/figures/{name}.js": FOLDER / f"{name}.js" for name in names}
    sources["/live/network.js"] = live_weights.SCRIPT
    tags = "".join(f'<script defer src="/figures/{name}.js"></script>' for name in names)
    figure = '<div class="sim-figure" data-figure="live"><img alt="a still"></div>'
    body = f"<!doctype html>{figure}{tags}"
    arrives = [False]
    asked: list[str] = []

    def answer(route: Any) -> None:
        path = route.request.url.removeprefix("http://book.test")
        asked.append(path)
        if path == "/":
            route.fulfill(body=body, content_type="text/html")
        elif path == "/live/network.js" and not arrives[0]:
            route.fulfill(status=200, body="")  # a script that says nothing
        else:
            route.fulfill(path=sources[path])

    page.route("http://book.test/**", answer)
    page.goto("http://book.test/")
    button = page.get_by_role("button", name="Load the network")
    assert "/live/network.js" not in asked
    assert page.get_by_role("img", name="a still").is_visible()
    button.click()
    page.get_by_text("did not arrive").wait_for()
    arrives[0] = True
    button.evaluate("button => { button.click(); button.click(); }")
    page.locator(".sim-svg").wait_for()
    assert page.evaluate("document.activeElement.type") == "radio"
    assert asked.count("/live/network.js") == 2
