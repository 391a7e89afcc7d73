// Mends what axe reports on the theme's pages: the search has no name, and the keyboard does not
// reach what scrolls.
window.addEventListener("load", () => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  const reachable = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", "0");
      else target.removeAttribute("tabindex");
    }
  });
  const regions = document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code");
  for (const region of regions) reachable.observe(region);
});
