"""The programs that build and check the book: they find what they are there to find."""

import pytest

import book_extension
import check_pages
import drawings
import lint_pages
import notebooks
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


def test_the_cells_of_a_page_are_found_with_their_lines():
    cells = pages.code_cells(PAGE)
    assert [cell.source for cell in cells] == ["import numpy as np", "x = 1\nx", "y = 2"]
    lines = PAGE.splitlines()
    assert [lines[cell.line - 1] for cell in cells] == ["import numpy as np", "x = 1", "y = 2"]
    assert cells[1].options == {"mystnb": {"image": {"alt": "What the figure shows"}}}
    assert cells[2].options == {"tags": ["remove-cell"]}


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("markdown", ["# A page", "Some words."]),
        ("code", ["import numpy as np", "x = 1", "x", "y = 2"]),
    ],
)
def test_the_cells_of_one_kind_stay_on_their_lines(kind, kept):
    lines = pages.only(kind, PAGE).splitlines()
    assert [line for line in lines if line] == kept
    assert all(lines.index(line) == PAGE.splitlines().index(line) for line in kept)


def test_the_lint_names_the_line_of_the_page(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("y = 2", "y = 2\n" * 21))
    monkeypatch.setattr(lint_pages, "ROOT", tmp_path)
    assert not lint_pages.clean(page)
    printed = capsys.readouterr().out
    assert "page.md:10:17: F401" in printed, "numpy is imported and not used"
    assert "page.md:26: the cell has 21 lines" in printed


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
        ('```{code-cell} ipython3\n---\nmystnb:\n  image:\n    alt: "Falls to 0.2"\n---\nx\n```', "0.2"),
        ("```{code-cell} ipython3\nx = 0.05\n```\n\nThe gain is 0.06.", "0.06"),
        ("```{code-cell} ipython3\nx = 0.5\n```\n\nIt loses 0.5 % of it.", "0.5"),
        ("```{code-cell} ipython3\nx = 7.0\n```\n\nIt falls by 7 points.", "7 points"),
        ('```{code-cell} ipython3\nassert x < 0.05, "small"\n```\n\nIt is below 0.05.', "0.05"),
    ],
)
def test_a_typed_number_is_told_with_its_line(tmp_path, monkeypatch, text, number):
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{text}\n")
    monkeypatch.setattr(lint_pages, "ROOT", tmp_path)
    (problem,) = lint_pages.typed_numbers(page)
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
        "```{code-cell} ipython3\nx = 0.5\n```",
        "| a | 1.5 |\n| b | 2.5 |\n\nSource: Table 1 of the paper.",
        "```{table} Named\n\n| a | 1.5 |\n```\n\nSource: Table 1 of the paper.",
        "```{code-cell} ipython3\nx = f(0.05, 0.95)\n```\n\nAt 0.05, 5 %, $95\\,\\%$ of the intervals.",
    ],
)
def test_a_number_that_is_computed_or_cited_may_stand(tmp_path, monkeypatch, text):
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{text}\n")
    monkeypatch.setattr(lint_pages, "ROOT", tmp_path)
    assert lint_pages.typed_numbers(page) == []


@pytest.fixture
def root(tmp_path):
    (tmp_path / "src" / "simam_edu").mkdir(parents=True)
    (tmp_path / "book" / "results").mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("numpy==1\n")
    (tmp_path / "src" / "simam_edu" / "energy.py").write_text("x = 1\n")
    (tmp_path / "book" / "results" / "runs.jsonl").write_text("{}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["requirements.txt", "src/simam_edu/energy.py", "book/results/runs.jsonl"])
def test_the_cache_is_another_when_an_input_changes(root, name):
    before = book_extension.cache_key(root, "")
    assert book_extension.cache_key(root, "") == before, "the key must not change by itself"
    (root / name).write_text("changed\n")
    assert book_extension.cache_key(root, "") != before


def test_the_cache_is_another_with_other_images(root):
    assert len({book_extension.cache_key(root, data) for data in ("", "/images", "/other")}) == 3


GOOD = """<html><head><link rel="stylesheet" href="style.css"><link rel="canonical" href="https://a.org/"></head>
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


def test_a_good_site_passes(site, capsys):
    assert check_pages.main(site) == 0
    assert "2 pages" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('<script src="https://cdn.org/x.js"></script>', "loads https://cdn.org/x.js"),
        ('<script src="//cdn.org/x.js"></script>', "loads //cdn.org/x.js"),
        ('<script>fetch("https://cdn.org/data")</script>', "loads https://cdn.org/data"),
        ('<script type="module">import x from "https://cdn.org/x.js"</script>', "loads https://cdn.org/x.js"),
        ('<link rel="preload stylesheet" href="https://cdn.org/x.css">', "loads https://cdn.org/x.css"),
        ('<link rel="preconnect" href="https://cdn.org">', "loads https://cdn.org"),
        ("<style>@import 'https://cdn.org/x.css';</style>", "loads https://cdn.org/x.css"),
        ('<p style="background: url(https://cdn.org/x.png)">', "loads https://cdn.org/x.png"),
        ('<img src="https://cdn.org/x.png" alt="A curve">', "loads https://cdn.org/x.png"),
        ('<img srcset="a.png 1x, https://cdn.org/x.png 2x" alt="A curve">', "loads https://cdn.org/x.png"),
        ('<iframe src="https://cdn.org/"></iframe>', "loads https://cdn.org/"),
        ('<img src="a.png">', "the image a.png has no alt text"),
        ('<img src="a.png" alt="_images/a.png">', "the image a.png has no alt text"),
        ('<a href="gone.html">x</a>', "gone.html does not exist"),
        ('<script src="gone.js?v=1"></script>', "gone.js?v=1 does not exist"),
        ('<a href="other.html#gone">x</a>', "other.html#gone has no such anchor"),
        ('<a href="#gone">x</a>', "#gone has no such anchor"),
        ('<p>in <span class="pasted-text">np.int64(9)</span> cells</p>', "a sentence shows np.int64(9);"),
    ],
)
def test_a_bad_page_is_told(site, capsys, bad, message):
    (site / "index.html").write_text(GOOD.replace("</body>", f"{bad}</body>"))
    assert check_pages.main(site) == 1
    assert f"index.html: {message}" in capsys.readouterr().out


def test_a_bad_style_sheet_is_told(site, capsys):
    (site / "style.css").write_text("@font-face { src: url(https://cdn.org/font.woff) }")
    assert check_pages.main(site) == 1
    assert "style.css: loads https://cdn.org/font.woff" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("address", "message"),
    [("index.html", ""), ("gone.html", "does not exist"), ("index.html#gone", "has no such anchor")],
)
def test_a_broken_link_of_a_notebook_is_told(site, capsys, address, message):
    (site / "_sources").mkdir(exist_ok=True)
    (site / "_sources" / "page.ipynb").write_text(f"[there]({notebooks.site()}{address})")
    assert check_pages.main(site) == (1 if message else 0)
    assert (f"page.ipynb: /{address} {message}" in capsys.readouterr().out) == bool(message)


def test_an_empty_site_is_told(tmp_path, capsys):
    assert check_pages.main(tmp_path) == 1
    assert "build the book first" in capsys.readouterr().out


def test_a_drawing_on_a_page_has_its_text_and_ids_of_its_own():
    uses = '<use xlink:href="#a" clip-path="url(#b)"/>'
    svg = f'<svg><g id="axes_1"><path id="a" d=""/>{uses}</g><p id="b"/></svg>'
    assert drawings.inline(svg, "f", "a &quot;line&quot;") == (
        '<div class="drawing"><svg role="img" aria-label="a &quot;line&quot;"><g><path id="f-a" d=""/>'
        '<use xlink:href="#f-a" clip-path="url(#f-b)"/></g><p id="f-b"/></svg></div>'
    )
