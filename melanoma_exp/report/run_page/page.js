"use strict";
// Each gallery shows the images of one pair of label and prediction, or all mistakes.
for (const gallery of document.querySelectorAll("[data-gallery]")) {
  const select = gallery.querySelector("select");
  const status = gallery.querySelector("[role=status]");
  const figures = [...gallery.querySelectorAll("figure[data-pair]")];

  const show = () => {
    let shown = 0;
    for (const figure of figures) {
      const wanted = select.value
        ? figure.dataset.pair === select.value : "worst" in figure.dataset;
      figure.hidden = !wanted;
      shown += wanted;
    }
    const all = Number(select.selectedOptions[0].dataset.count);
    const rest = shown < all ? `; the others are rows of ${gallery.dataset.gallery}` : "";
    status.textContent = `${shown} of ${all} shown${rest}`;
  };

  select.addEventListener("change", show);
  for (const link of document.querySelectorAll(`a[href="#${gallery.id}"][data-pair]`)) {
    link.addEventListener("click", event => {
      event.preventDefault();
      select.value = link.dataset.pair;
      show();
      gallery.scrollIntoView();
      select.focus({ preventScroll: true });
    });
  }
  show();
}
