"""Each figure is moved by the mouse, a finger and the keys; all numbers are those of numpy."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from browser import live_torch
from browser.live_torch import painted, state
from movable import FOLDER, figure_names
from simam_edu import energy
from simam_edu.gradient import simam_gradient
from simam_edu.training.recipes import RECIPES, OneCycle
from simam_edu.wrong_simams import GALLERY
from stills import place, still

OTHERS, LAM = np.array([0.0, 1.0, 2.0]), 1e-4


def gains(x: Any, lam: float = LAM, statistics: Any = "shared") -> np.ndarray:
    return energy.gain(np.asarray(x, dtype=float)[None], lam=lam, statistics=statistics)[0]


def gain_curve(s: Any, _: Any) -> dict[str, float]:
    x, lam = np.array(s["values"]), 10 ** s["exponent"]
    importance = energy.importance(x[None], lam=lam)[0, 11]
    numbers = {"importance": importance, "energy": 1 / importance, "gain": gains(x, lam)[11]}
    return numbers | {"mean": x.mean(), "sd": x.std(ddof=1)}


def energy_line(s: Any, _: Any) -> dict[str, float]:
    others, lam = np.array(s["others"]), 10 ** s["exponent"]
    w, b = energy.optimal_weight_bias(s["t"], others.mean(), others.var(), lam=lam)
    e = float(energy.neuron_energy(w, b, s["t"], others, lam=lam))
    return {"w": float(w), "b": float(b), "energy": e, "importance": 1 / e, "gain": expit(1 / e)}


def bowl(s: Any, _: Any) -> dict[str, float]:
    lam = 10 ** s["exponent"]
    here = float(energy.neuron_energy(s["w"], s["b"], 4.0, OTHERS, lam=lam))
    least = float(energy.minimal_energy(4.0, 1.0, OTHERS.var(), lam=lam))
    return {"energy": here, "least": least, "excess": here - least}


def step_size(s: Any, _: Any) -> dict[str, float]:
    hessian = 2 * np.array([[np.mean(OTHERS**2) + 16 + LAM, 5.0], [5.0, 2.0]])
    low, high = np.linalg.eigvalsh(hessian)
    return {"step": s["step"], "bound": 2 / high, "best": 2 / (high + low)}


def crossing(s: Any, _: Any) -> dict[str, float]:
    g = gains(np.arange(64) < s["k"])
    return {"object": g[0], "background": g[-1]}


def penalty(s: Any, _: Any) -> dict[str, float]:
    lam, var = 10 ** s["lambda"], 10 ** s["variance"]
    least = float(energy.minimal_energy(2 * math.sqrt(var), 0.0, var, lam=lam))
    return {"gain": expit(1 / least), "percent": 100 * var / (var + lam)}


def ceiling(s: Any, _: Any) -> dict[str, float]:
    others = np.random.default_rng(0).normal(size=s["side"] ** 2 - 1)
    others = (others - others.mean()) / others.std()
    choices = ("shared", "population", "leave_one_out")
    found = {name: gains([*others, s["u"]], 0.0, name)[-1] for name in choices}
    far = [*np.zeros(len(others)), 1.0]
    found["ceiling_population"] = gains(far, 0.0, "population")[-1]
    return found | {"ceiling": gains(far, 0.0)[-1]}


def keepdim(s: Any, page: Any) -> dict[str, float]:
    x = np.random.default_rng(0).normal(size=(s["n"], s["c"], s["h"], s["w"]))
    right = x - x.mean(axis=(2, 3), keepdims=True)
    try:
        found = x - x.mean(axis=(2, 3), keepdims=s["keepdim"])
        verdict = "right" if found.shape == x.shape and np.allclose(found, right) else "wrong"
    except ValueError:
        verdict = "error"
    assert page.locator("[data-kind]").get_attribute("data-kind") == verdict
    return {}


def gates(s: Any, page: Any) -> dict[str, float]:
    noise = np.reshape(page.evaluate("[...SimAM.normals(7, 64)]"), (4, 16))
    x = 0.4 * noise + 0.3 * np.arange(4)[:, None] - 0.5
    x[np.arange(4), [5, 10, 3, 12]] += [3, 2, 2.5, 0.6]
    channel, whole = expit(x.mean(axis=1))[s["c"]], x.mean(axis=1)
    near = whole[max(s["c"] - 1, 0) : s["c"] + 2].mean()
    numbers = {"SE": channel, "GC": channel, "ECA": expit(near), "SimAM": gains(x[s["c"]])[s["i"]]}
    numbers["CBAM"] = channel * expit(x.mean(axis=0))[s["i"]]
    free = {"SE": 4, "ECA": 4, "GC": 4, "CBAM": 20, "SimAM": 64}
    return {"free": free[s["module"]], "number": numbers[s["module"]]}


def brick(s: Any, page: Any) -> dict[str, float]:
    x = np.reshape(page.evaluate("Brick.planes.flatMap((plane) => [...plane])"), (3, 100))
    z = 2.5 * (x - x.mean()) / x.std()
    c, i = s["c"], s["i"]
    logits = {"1-D": z[c].mean(), "2-D": z[:, i].mean(), "3-D": z[c, i]}
    near = 300 if s["c"] == 1 else 200
    reads = {"SE": 300, "CBAM": 300, "ECA": near, "GC": 300, "SimAM": 100}
    numbers = {"1-D": 3, "2-D": 100, "3-D": 300}[s["shape"]]
    return {"gain": expit(logits[s["shape"]]), "numbers": numbers, "reads": reads[s["module"]]}


def paint(s: Any, _: Any) -> dict[str, float]:
    logs = np.log(np.where(s["cells"], 0.9, 0.3))
    missed = missed_by_gates(logs.reshape(2, 16))
    names = ("channel", "position", "product", "full")
    return {name: 100 * share for name, share in zip(names, missed, strict=True)}


def missed_by_gates(logs: np.ndarray) -> list[float]:
    """What least squares on a column for each number of a gate leaves of the variance."""
    channels, positions = logs.shape
    rows = np.kron(np.eye(channels), np.ones((positions, 1)))
    columns = np.tile(np.eye(positions), (channels, 1))
    designs = rows, columns, np.hstack([rows, columns]), np.eye(logs.size)
    left = [logs.ravel() - design @ np.linalg.lstsq(design, logs.ravel())[0] for design in designs]
    total = logs.size * logs.var()
    return [float(rest @ rest / total) if total > 1e-12 else 0.0 for rest in left]


def jacobian(s: Any, page: Any) -> dict[str, float]:
    x = np.round(page.evaluate("[...SimAM.normals(11, 25)]"), 1)
    x[7] = 3.0
    j = s["j"]
    column = np.array([simam_gradient(x[None], row[None], lam=LAM)[0, j] for row in np.eye(25)])
    return {"own": column[j], "others": np.abs(np.delete(column, j)).sum()}


def roofline(s: Any, _: Any) -> dict[str, float]:
    cards = {"T4": (8.1e12, 320e9), "L4": (30.3e12, 300e9), "A100 (40 GB)": (19.5e12, 1555e9)}
    peak, bandwidth = (cards | {"H100 (SXM)": (67e12, 3350e9)})[s["card"]]
    neurons = 16 * 256 * s["side"] ** 2
    memory = 4e3 * neurons * s["passes"] / bandwidth
    arithmetic = 1e3 * neurons * s["operations"] / peak
    return {"memory": memory, "arithmetic": arithmetic, "least": max(memory, arithmetic)}


def interval(s: Any, page: Any) -> dict[str, float]:
    seeds = [1000 + draw for draw in (s["draw"], *range(10, 210))]
    draws = "([seeds, n]) => seeds.map((s) => [...SimAM.normals(s, n)])"
    noise = page.evaluate(draws, [seeds, s["seeds"]])
    d = s["effect"] + s["noise"] * np.array(noise)
    mean = d.mean(axis=1)
    low, high = stats.t.interval(0.95, s["seeds"] - 1, mean, stats.sem(d, axis=1))
    power = 100 * np.mean((low[1:] > 0) | (high[1:] < 0))
    return {"mean": mean[0], "low": low[0], "high": high[0], "power": power}


def schedule(s: Any, _: Any) -> dict[str, float]:
    steps = s["epochs"] * -(-50_000 // RECIPES["budget"].batch_size)
    step = math.floor(s["at"] * steps + 0.5)
    cycle = OneCycle(peak_learning_rate=s["peak"], warmup=s["warmup"])
    rate = cycle.learning_rate(step, steps=steps)
    return {"steps": steps, "step": step, "images": s["epochs"] * 0.05, "rate": rate}


def augment(s: Any, _: Any) -> dict[str, float]:
    padded = np.pad(np.ones((32, 32)), 4)
    crop = padded[4 + s["dy"] : 36 + s["dy"], 4 + s["dx"] : 36 + s["dx"]]
    return {"padding": (crop == 0).sum(), "count": 2 * 9 * 9}


def outlier(s: Any, _: Any) -> dict[str, float]:
    x = np.array([*s["others"], s["x"]])
    t = stats.t.isf(0.05 / 24, 10)
    importance = energy.importance(x[None], lam=0.0)[0, -1]
    critical = 11 / math.sqrt(12) * t / math.sqrt(10 + t * t)
    z = abs(x[-1] - x.mean()) / x.std(ddof=1)
    return {"z": z, "critical": critical, "importance": importance, "gain": expit(importance)}


def float16(s: Any, page: Any) -> dict[str, float]:
    x = np.array(page.evaluate("[...SimAM.normals(3, 4096)]"))[: s["side"] ** 2]
    x[0] = 4.0
    x = (x - x.mean()) / x.std(ddof=1) * 10.0 ** s["exponent"]
    with np.errstate(all="ignore"):
        d = (x.astype(np.float16) - x.astype(np.float16).mean()) ** 2
        half = d[0] / (4 * (d.sum() / np.float16(len(x) - 1) + np.float16(LAM))) + np.float16(0.5)
    edge = math.sqrt(np.finfo(np.float16).max) / s["side"]
    return {"safe": gains(x)[0], "edge": edge, "naive~": expit(float(half))}


def surround(s: Any, _: Any) -> dict[str, float]:
    drive = s["center"] ** 2
    response, alone = (drive / (s["s"] ** 2 + drive + 2 * c**2) for c in (s["surround"], 0.0))
    return {"response": response, "alone": alone, "percent": 100 * (1 - response / alone)}


def controls(s: Any, page: Any) -> dict[str, float]:
    slope, rank = (np.array(page.evaluate(f"[...SimAM.normals({seed}, 36)]")) for seed in (5, 9))
    stroke = np.eye(6, dtype=bool).ravel()
    own, other = np.where(stroke, 2.2, slope / 4), slope[::-1] / 4
    other[[3, 4, 9]] = -2
    g = gains(own)
    chosen = {
        "simam": g,
        "shuffled": g[np.argsort(rank)],
        "other": gains(other),
        "reversed": 2 * g.mean() - g,
        "one-sided": np.where(own > own.mean(), g, expit(0.5)),
        "constant": np.full(36, g.mean()),
    }[s["which"]]
    own_gain = chosen[6 * s["row"] + s["column"]]
    parts = {"stroke": chosen[stroke].mean(), "rest": chosen[~stroke].mean(), "mean": chosen.mean()}
    return {"gain": own_gain} | parts


def errata(s: Any, _: Any) -> dict[str, float]:
    t, x = s["t"], np.array([*OTHERS, s["t"]])
    w, b = energy.optimal_weight_bias(t, 1.0, OTHERS.var(), lam=LAM)
    least = expit(1 / float(energy.minimal_energy(t, 1.0, OTHERS.var(), lam=LAM)))
    printed = expit(1 / float(energy.neuron_energy(-w, -b, t, OTHERS, lam=LAM)))
    choices = ("shared", "population", "leave_one_out")
    shared, population, exact = (gains(x, LAM, choice)[3] for choice in choices)
    pairs = {"sign": (least, printed), "labels": (least, least)}
    pairs |= {"divisor": (shared, population), "shared": (exact, shared)}
    right, wrong = pairs[s["which"]]
    return {"right": right, "printed": wrong}


def three_maps(s: Any, page: Any) -> dict[str, float]:
    shown = page.evaluate("MAPS")[s["image"]]
    maps = {key: np.frombuffer(bytes.fromhex(v), np.uint8) / 255 for key, v in shown.items()}
    named = {"gain": f"gain {s['stage']}", "cam": f"Grad-CAM {s['stage']}"}
    named["occlusion"] = "occlusion"
    marked = {key: maps[name] > s["threshold"] for key, name in named.items()}
    mask = maps["mask"] > 0.5
    return {key: (above & mask).sum() / (above | mask).sum() for key, above in marked.items()}


def letterbox(s: Any, _: Any) -> dict[str, float]:
    values, weights = np.array([-1.0, 1.0, s["bar"]]), [(1 - s["share"]) / 2] * 2 + [s["share"]]
    mu = np.average(values, weights=weights)
    whole = (mu, np.average((values - mu) ** 2, weights=weights))
    real, bars = (1 / energy.minimal_energy(s[key], *whole, lam=0.0) for key in ("z", "bar"))
    alone = 1 / energy.minimal_energy(s["z"], 0.0, 1.0, lam=0.0)
    return {"masked": expit(alone), "plain": expit(real), "border": expit(bars)}


def wrong(s: Any, page: Any) -> dict[str, float]:
    name, kind, _ = page.evaluate(f"WrongSimAMs.exhibits[{s['exhibit'] - 1}]")
    shape = page.evaluate(f"WrongSimAMs.shapeOf('{kind}')")
    x = np.reshape(page.evaluate(f"[...WrongSimAMs.batch('{kind}')]"), shape)
    if name == "naive variance":
        return {}  # noise, which depends on the order of a sum
    with np.errstate(all="ignore"):
        off = np.abs(GALLERY[name](x, LAM) / x - energy.gain(x)).max()
    return {"difference": off}


def live(s: Any, page: Any) -> dict[str, float]:
    picture = painted(page)[None]
    choices = [s["gains"] if s[f"on{k}"] else "off" for k in range(1, 10)]
    orders = live_torch.orders_of(page)
    logits, seen, found = live_torch.forward(picture, 10 ** s["lambda"], choices, orders)
    x, gain = seen[s["block"] - 1][0], found[s["block"] - 1][0]
    gain = gain[s["channel"] - 1] if s["channel"] else gain.mean(axis=0)
    x = x[s["channel"] - 1] if s["channel"] else gain
    here = (s["row"] * len(x) // 32, s["column"] * len(x) // 32)
    shares = np.exp(logits[0]) / np.exp(logits[0]).sum()
    numbers = {"share": 100 * shares.max(), "logit": logits.max()}
    numbers |= {"mean": x.mean(), "sd": x.std(ddof=1)}
    z = (x[here] - x.mean()) / x.std(ddof=1) if x.std() > 1e-12 else 0.0
    numbers |= {"value": x[here], "z": z, "gain": gain[here]}
    return numbers | {"above": 100 * np.mean(gain >= s["threshold"])}


NUMBERS: dict[str, Callable[[Any, Any], dict[str, float]]] = {
    name: globals()["penalty" if name == "lambda" else name.replace("-", "_")] for name in figure_names()
}
"""What numpy says of each figure, by the figure's name."""
KEYS = ("ArrowRight", "ArrowUp", "PageDown", "Home", "End", "ArrowLeft", "PageUp", "ArrowDown")
SHOWN = """() => Object.fromEntries(
    [...document.querySelectorAll('[data-value]')].map((node) => [node.dataset.value, node.innerText]))"""
PHONE = {"viewport": {"width": 390, "height": 800}, "has_touch": True, "is_mobile": True}


def check_numbers(page: Any, name: str) -> None:
    """Compare each number shown with numpy's, to its last digit; one marked ~ has three digits."""
    shown = page.evaluate(SHOWN)
    for key, wanted in NUMBERS[name](state(page), page).items():
        text = shown[key.rstrip("~")].replace("\u2212", "-")
        if not math.isfinite(wanted):
            assert text == "not a number", key
            continue
        last = 10.0 ** -len(text.partition(".")[2])
        off = 3e-3 if "~" in key else 0.501 * last
        assert float(text) == pytest.approx(wanted, rel=1e-9, abs=off), key


@pytest.mark.parametrize("name", figure_names())
def test_numbers_follow_the_keys(page: Any, name: str) -> None:
    place(page, name, width=688)
    check_numbers(page, name)
    start = state(page)
    handles = page.locator("[role=slider]").all()
    for control in [*handles[:1], *handles[-1:], *page.locator("input[type=range]").all()]:
        for key in KEYS:
            control.press(key)
            check_numbers(page, name)
            if control.get_attribute("role") and key in ("Home", "End"):
                end = control.get_attribute("aria-valuemax" if key == "End" else "aria-valuemin")
                now = control.get_attribute("aria-valuenow")
                assert float(now) == pytest.approx(float(end)), key
    others = "input[type=radio], input[type=checkbox], .sim-controls button"
    for control in page.locator(others).all():
        control.click()
        check_numbers(page, name)
    assert state(page) != start
    page.get_by_role("button", name="Reset").click()
    assert state(page) == start
    page.locator(".sim-live-region", has_text=re.compile("^Back")).wait_for(state="attached")


def drag(page: Any, hand: str, index: int) -> None:
    """Drag a handle steeply by the mouse or a finger."""
    box = page.locator(".sim-handle .sim-target").nth(index).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    step = -9 if x > page.viewport_size["width"] / 2 else 9
    path = [(x + step * i, y - 20 * i) for i in range(9)]
    if hand == "mouse":
        page.mouse.move(x, y)
        page.mouse.down()
        for point in path:
            page.mouse.move(*point)
        page.mouse.up()
        return
    touch = page.context.new_cdp_session(page)
    for i, (px, py) in enumerate(path):
        kind = "touchMove" if i else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": px, "y": py}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize(("page", "hand"), [({}, "mouse"), (PHONE, "touch")], indirect=["page"])
@pytest.mark.parametrize("name", sorted({*figure_names()} - {"keepdim", "wrong"}))
def test_numbers_follow_the_hand(page: Any, hand: str, name: str) -> None:
    page.set_viewport_size({**page.viewport_size, "height": 1600})  # the whole figure is in sight
    place(page, name, width=688)
    page.evaluate("document.body.style.padding = '200px 0 2000px'")  # room to scroll
    page.evaluate("window.ended = 0")
    page.evaluate("addEventListener('pointercancel', () => (ended += 1), true)")
    for index in {0, page.locator(".sim-handle").count() - 1}:
        before = state(page)
        drag(page, hand, index)
        assert state(page) != before, f"handle {index} moves"
        check_numbers(page, name)
    assert page.evaluate("[scrollY, ended]") == [0, 0], "a drag neither scrolls nor ends early"


@pytest.mark.parametrize("name", ["brick", "paint", "controls", "live"])
def test_a_press_on_the_next_cell_takes_it(page: Any, name: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 1600})
    place(page, name, width=688)
    before = state(page)
    box = page.locator(".sim-handle .sim-target").last.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2 - 22, box["y"] + box["height"] / 2)
    assert state(page) != before
    check_numbers(page, name)


def test_predictions_open_after_the_choice(page: Any) -> None:
    place(page, *figure_names(), width=688)
    asked = page.locator(".sim-predict").all()
    # The bowl has its answer marked, and the quiz is one itself.
    assert len(asked) == len(figure_names()) - 2
    for prediction in asked:
        told = prediction.locator(".sim-why")
        assert told.inner_text() == ""
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert re.match("“.+”. .+", told.inner_text()), "paper holds the answer"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert told.inner_text() == ""
        verdicts = set()
        for answer in prediction.locator("button").all():
            answer.press("Enter")
            verdicts.add(re.match(r"Right|Not so", told.inner_text())[0])  # type: ignore[index]
        assert verdicts == {"Right", "Not so"}
        stops = prediction.locator("button[tabindex='0']")
        assert stops.count() == 1, "one stop for Tab"
        first = stops.inner_text()
        stops.press("ArrowRight")
        assert page.evaluate("document.activeElement.textContent") == stops.inner_text() != first


# Text that is cut, smaller than 11 px, or of less contrast than 4.5, which axe does not look at.
LEGIBLE = """() => [...document.querySelectorAll('.sim-svg text')].filter((text) => {
  const light = (color) => color.match(/[0-9]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => (c < 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0.05);
  const ground = getComputedStyle(document.body).backgroundColor;
  const contrast = light(getComputedStyle(text).fill) / light(ground);
  const area = text.ownerSVGElement.getBoundingClientRect(), box = text.getBoundingClientRect();
  const cut = box.left < area.left - 1 || box.right > area.right + 1 || box.top < area.top - 2;
  const small = parseFloat(getComputedStyle(text).fontSize) < 11;
  return cut || small || Math.max(contrast, 1 / contrast) < 4.5;
}).map((text) => text.textContent)"""
SMALL = """() => [...document.querySelectorAll(
    'button, .sim-target, .sim-slider input, label:has(input)')]
  .filter((node) => node.getBoundingClientRect().height < 24).map((node) => node.outerHTML)"""


@pytest.mark.parametrize(("width", "theme"), [(390, "light"), (1280, "dark")])
def test_figures_are_legible(page: Any, violations: Any, width: int, theme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    place(page, *figure_names(), theme=theme, width=688)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(LEGIBLE) == []
    assert page.evaluate(SMALL) == []
    assert violations(page) == []


@pytest.mark.parametrize("name", figure_names())
def test_picture_without_script_is_that_of_the_start(page: Any, name: str) -> None:
    kept = FOLDER.joinpath(f"{name}.svg").read_text("utf-8")
    assert kept == still(page, name), "run tools/stills.py"
