// What the theme leaves out for readers who hear the page: names that match what is seen, a landmark
// around the title and the search, and roles that a list may have.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll(".search-button-field, .theme-switch-button")) {
    button.removeAttribute("aria-label"); // the text inside names it, and says more
  }
  const sidebar = document.querySelector(".sidebar-primary-items__start");
  sidebar?.setAttribute("role", "region");
  sidebar?.setAttribute("aria-label", "Book");
  for (const entry of document.querySelectorAll(".citation-list > .citation")) {
    entry.setAttribute("role", "listitem");
  }
  for (const formula of document.querySelectorAll("div.math .formula")) {
    if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0; // so that the keys can scroll it
  }
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
