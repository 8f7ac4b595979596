"""The programs that build and check the book: they find what they are there to find."""

import pytest

import book_extension
import check_pages
import drawings
import lint_pages
import pages

PAGE = """---
kernelspec:
  name: python3
---
# A page

Some words.

```{code-cell} ipython3
import numpy as np
```

```{code-cell} ipython3
---
mystnb:
  image:
    alt: "What the figure shows"
---
x = 1
x
```

```{code-cell} ipython3
:tags: [remove-cell]

y = 2
```
"""


def test_the_cells_of_a_page_are_found_on_their_lines_with_their_options():
    cells = pages.code_cells(PAGE)
    assert [cell.source for cell in cells] == ["import numpy as np", "x = 1\nx", "y = 2"]
    assert cells[1].options == {"mystnb": {"image": {"alt": "What the figure shows"}}}
    assert cells[2].tags == {"remove-cell"}
    lines = PAGE.splitlines()
    text, code = (pages.only(kind, PAGE).splitlines() for kind in ("markdown", "code"))
    assert [line for line in text if line] == ["# A page", "Some words."]
    assert [line for line in code if line] == ["import numpy as np", "x = 1", "x", "y = 2"]
    for kept in (text, code):
        assert all(line in ("", wanted) for line, wanted in zip(kept, lines, strict=False))


def test_the_lint_names_the_line_of_the_page(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("y = 2", "y = 2\n" * 21))
    monkeypatch.setattr(lint_pages, "ROOT", tmp_path)
    assert not lint_pages.clean(page)
    printed = capsys.readouterr().out
    assert "page.md:10:17: F401" in printed, "numpy is imported and not used"
    assert "page.md:26: the cell has 21 lines" in printed


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Return what the lint says of the numbers of a text on a page."""
    monkeypatch.setattr(lint_pages, "ROOT", tmp_path)

    def of(text):
        page = tmp_path / "page.md"
        page.write_text(f"# Title\n\n{text}\n")
        return lint_pages.typed_numbers(page)

    return of


CELL = "```{code-cell} ipython3\n%s\n```"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The gain is never below 0.62.", "0.62"),
        ("## A heading with 3.5 in it", "3.5"),
        ("It loses 38 % of it.", "38 %"),
        (r"It loses $38\,\%$ of it.", r"38\,\%"),
        ("It loses 38 percent.", "38 percent"),
        ("It loses 38 per cent.", "38 per cent"),
        ("It loses 38&nbsp;% of it.", "38&nbsp;%"),
        ("It falls by 7 points.", "7 points"),
        ("A 7-point gain.", "7-point"),
        ("A learning rate of .05 is printed.", ".05"),
        ("With a penalty of 1e-4 it is off.", "1e-4"),
        ("```{note}\nThe gain is 0.62 here.\n```", "0.62"),
        ("In mathematics $x = 0.1$.", "0.1"),
        ("| a | 1.5 |\n| b | 2 |", "1.5"),
        ("| a | 1.5 |\n\nSource: none, the line is the next table's.\n\n| b | 2.5 |", "2.5"),
        (CELL % '---\nmystnb:\n  image:\n    alt: "Falls to 0.2"\n---\nx', "0.2"),
        (CELL % "x = 0.05" + "\n\nThe gain is 0.06.", "0.06"),
        (CELL % "x = 0.5" + "\n\nIt loses 0.5 % of it.", "0.5"),
        (CELL % "x = 7.0" + "\n\nIt falls by 7 points.", "7 points"),
        (CELL % 'assert x < 0.05, "small"' + "\n\nIt is below 0.05.", "0.05"),
    ],
)
def test_a_typed_number_is_told_with_its_line(typed, text, number):
    (problem,) = typed(text)
    assert f": the number {number} is typed" in problem
    assert int(problem.split(":")[1]) >= 3


@pytest.mark.parametrize(
    "text",
    [
        "Ten lines, $M = 4096$ neurons, Eq. (3), issue 11, $10^{-4}$ and $\\tfrac12$.",
        "The gain is {glue:text}`gain-0.5` or `0.5` in code.",
        "See https://a.org/v1.2/ for more.",
        "Three points in a plane; Eq. (3). 4 neurons follow, ...12 in all, and $M = 4{,}096$.",
        "    indented = 0.5",
        CELL % "x = 0.5",
        "| a | 1.5 |\n| b | 2.5 |\n\nSource: Table 1 of the paper.",
        "```{table} Named\n\n| a | 1.5 |\n```\n\nSource: Table 1 of the paper.",
        CELL % "x = f(0.05, 0.95)" + "\n\nAt 0.05, 5 %, $95\\,\\%$ of the intervals.",
    ],
)
def test_a_number_that_is_computed_or_cited_may_stand(typed, text):
    assert typed(text) == []


INPUTS = ["requirements.txt", "src/simam_edu/energy.py", "book/results/runs.jsonl"]


@pytest.mark.parametrize("name", INPUTS)
def test_the_cache_is_another_when_an_input_or_the_folder_of_images_changes(tmp_path, name):
    for file in INPUTS:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("before\n")
    keys = [book_extension.cache_key(tmp_path, data) for data in ("", "", "/images")]
    assert keys[0] == keys[1] != keys[2], "the key must not change by itself"
    (tmp_path / name).write_text("changed\n")
    assert book_extension.cache_key(tmp_path, "") not in keys


GOOD = """<html><head><link rel="stylesheet" href="style.css">
<link rel="canonical" href="https://a.org/"></head>
<body id="top"><a href="https://a.org/">a link to follow</a><a href="#top">up</a>
<a href="other.html#here">there</a><span class="pasted-text">Xeon(R)</span>
<img src="a.png" alt="A curve"><script>const home = "https://a.org/";</script></body></html>"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "other.html").write_text('<p id="here"></p>')
    (tmp_path / "style.css").write_text('@font-face { src: url("font.woff") }')
    (tmp_path / "a.png").write_bytes(b"")
    return tmp_path


def test_a_good_site_passes_and_an_empty_one_is_told(site, tmp_path_factory, capsys):
    assert check_pages.main(site) == 0
    assert "2 pages" in capsys.readouterr().out
    assert check_pages.main(tmp_path_factory.mktemp("empty")) == 1
    assert "build the book first" in capsys.readouterr().out


CDN = "https://cdn.org/x"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (f'<script src="{CDN}.js"></script>', f"loads {CDN}.js"),
        ('<script src="//cdn.org/x.js"></script>', "loads //cdn.org/x.js"),
        (f'<script>fetch("{CDN}")</script>', f"loads {CDN}"),
        (f'<script type="module">import x from "{CDN}.js"</script>', f"loads {CDN}.js"),
        (f'<link rel="preload stylesheet" href="{CDN}.css">', f"loads {CDN}.css"),
        (f'<link rel="preconnect" href="{CDN}">', f"loads {CDN}"),
        (f"<style>@import '{CDN}.css';</style>", f"loads {CDN}.css"),
        (f'<p style="background: url({CDN}.png)">', f"loads {CDN}.png"),
        (f'<img src="{CDN}.png" alt="A curve">', f"loads {CDN}.png"),
        (f'<img srcset="a.png 1x, {CDN}.png 2x" alt="A curve">', f"loads {CDN}.png"),
        (f'<iframe src="{CDN}"></iframe>', f"loads {CDN}"),
        ('<img src="a.png">', "the image a.png has no alt text"),
        ('<img src="a.png" alt="_images/a.png">', "the image a.png has no alt text"),
        ('<svg role="img" aria-label="_images/a.svg">', "the image of a cell has no alt text"),
        ('<a href="gone.html">x</a>', "gone.html does not exist"),
        ('<script src="gone.js?v=1"></script>', "gone.js?v=1 does not exist"),
        ('<a href="other.html#gone">x</a>', "other.html#gone has no such anchor"),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<p>in <span class="pasted-text">np.int64(9)</span> cells</p>', "shows np.int64(9);"),
    ],
)
def test_a_bad_page_is_told(site, capsys, bad, message):
    (site / "index.html").write_text(GOOD.replace("</body>", f"{bad}</body>"))
    assert check_pages.main(site) == 1
    told = capsys.readouterr().out
    assert told.startswith("index.html: ")
    assert message in told


def test_a_bad_style_sheet_is_told(site, capsys):
    (site / "style.css").write_text("@font-face { src: url(https://cdn.org/font.woff) }")
    assert check_pages.main(site) == 1
    assert "style.css: loads https://cdn.org/font.woff" in capsys.readouterr().out


def test_a_drawing_on_a_page_has_its_text_and_ids_of_its_own():
    uses = '<use xlink:href="#a" clip-path="url(#b)"/>'
    svg = f'<svg><g id="axes_1"><path id="a" d=""/>{uses}</g><p id="b"/></svg>'
    assert drawings.inline(svg, "0f", "a &quot;line&quot;") == (
        '<div class="drawing"><svg role="img" aria-label="a &quot;line&quot;">'
        '<g><path id="0f-a" d=""/>'
        '<use xlink:href="#0f-a" clip-path="url(#0f-b)"/></g><p id="0f-b"/></svg></div>'
    )
