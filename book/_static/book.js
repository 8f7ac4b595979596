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
});
