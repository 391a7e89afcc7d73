// What axe misses in the theme's pages: a name of the search, and the keyboard's way to what scrolls.
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
