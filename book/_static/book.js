// What the theme leaves out for readers who hear the page: names that match what is seen, a landmark
// around the title and the search, and roles that a list may have.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector(".search-button-field")?.removeAttribute("aria-label"); // its text says more
  nameThemeButtons();
  new MutationObserver(nameThemeButtons).observe(document.documentElement, { attributeFilter: ["data-mode"] });
  for (const summary of document.querySelectorAll("details.hide > summary")) nameFold(summary);
  const sidebar = document.querySelector(".sidebar-primary-items__start");
  sidebar?.setAttribute("role", "region");
  sidebar?.setAttribute("aria-label", "Book");
  for (const entry of document.querySelectorAll(".citation-list > .citation")) {
    entry.setAttribute("role", "listitem");
  }
  letKeysScroll();
  document.fonts.addEventListener("loadingdone", letKeysScroll); // a font that comes later makes formulas wider
  for (const part of document.querySelectorAll(".bd-sidebar-primary p.caption")) foldPart(part);
  // The keys select and copy text by themselves; a stop at every piece of code is in the way of those who read.
  for (const button of document.querySelectorAll("button.copybtn")) button.tabIndex = -1;
  markSearched();
});

// What is wider than its box is a stop for the keys, so that they can scroll it.
function letKeysScroll() {
  for (const formula of document.querySelectorAll("div.math .formula, .drawing")) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
  }
}

// Appendices and what stands at the back are folded in the list of chapters, unless one of them is open.
function foldPart(caption) {
  const list = caption.nextElementSibling;
  if (!["Appendices", "Back"].includes(caption.textContent) || list.classList.contains("current")) return;
  const fold = document.createElement("details");
  const summary = document.createElement("summary");
  caption.before(fold);
  summary.append(caption);
  fold.append(summary, list);
}

// What was searched for is marked where the search leads. Sphinx does so, too, but also inside formulas; the
// words are taken before it looks for them.
const SEARCHED = localStorage.getItem("sphinx_highlight_terms")?.split(" ") ?? [];
localStorage.removeItem("sphinx_highlight_terms");
document.addEventListener("keydown", (event) => event.key === "Escape" && CSS.highlights?.delete("searched"));

function markSearched() {
  const terms = SEARCHED.filter((term) => term.length > 1);
  if (!CSS.highlights || !terms.length) return;
  const article = document.querySelector(".bd-article");
  const texts = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  const found = new Highlight();
  while (texts.nextNode()) {
    const node = texts.currentNode;
    if (node.parentElement.closest("math, svg, script, style, button")) continue;
    const text = node.data.toLowerCase();
    for (const term of terms) {
      for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + term.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + term.length);
        found.add(range);
      }
    }
  }
  CSS.highlights.set("searched", found);
}

// The button's three icons say all modes at once; its name is to say the one that is chosen.
function nameThemeButtons() {
  const mode = { light: "light", dark: "dark" }[document.documentElement.dataset.mode] ?? "as the system";
  for (const button of document.querySelectorAll(".theme-switch-button")) {
    button.setAttribute("aria-label", `Color mode: ${mode}`);
  }
}

// A fold is named by what stands on it, and a solution by its exercise, too.
function nameFold(summary) {
  summary.removeAttribute("aria-label");
  const heading = summary.closest("section")?.querySelector("h2, h3, h4");
  if (!heading || !summary.textContent.includes("solution")) return;
  const name = document.createElement("span");
  name.className = "visually-hidden";
  name.textContent = ` of ${heading.firstChild.textContent}`;
  summary.append(name);
}

// Paper holds everything: what is folded is opened for the print and closed again after it.
const opened = [];
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    fold.open = true;
    opened.push(fold);
  }
});
window.addEventListener("afterprint", () => {
  for (const fold of opened.splice(0)) fold.open = false;
});

// What is copied holds the LaTeX of its formulas, between dollar signs, and not the letters of their parts.
document.addEventListener("copy", (event) => {
  const selection = document.getSelection();
  if (!selection.rangeCount || !event.clipboardData) return;
  const content = document.createElement("div");
  for (let i = 0; i < selection.rangeCount; i += 1) {
    content.append(selection.getRangeAt(i).cloneContents());
  }
  const formulas = content.querySelectorAll("math[alttext]");
  if (!formulas.length) return;
  for (const formula of formulas) {
    const sign = formula.getAttribute("display") === "block" ? "$$" : "$";
    formula.replaceWith(`${sign}${formula.getAttribute("alttext")}${sign}`);
  }
  document.body.append(content); // innerText knows the lines only of what is drawn
  event.clipboardData.setData("text/plain", content.innerText);
  content.remove();
  event.preventDefault();
});
