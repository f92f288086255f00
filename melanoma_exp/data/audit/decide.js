"use strict";
// Decisions by the source of an image, and findings whose images are one lesion.
const figures = [...document.querySelectorAll("figure[data-source]")];
const decided = new Map();
const tied = new Map();
const classes = document.getElementById("classes");
let current = null;
let unsaved = false;

function show() {
  for (const figure of figures) {
    const [decision, value] = decided.get(figure.dataset.source) ?? ["", ""];
    const same = tied.has(figure.closest("article")) ? "same lesion" : "";
    figure.querySelector(".mark").textContent =
      [value ? `${decision}: ${value}` : decision, same].filter(Boolean).join(", ");
    figure.dataset.decision = decision;
  }
  const count = decided.size + tied.size;
  document.getElementById("count").textContent =
    count ? `${count} decided${unsaved ? ", not saved" : ", saved"}` : "nothing decided";
  document.getElementById("save").disabled = !count;
}

function decide(key) {
  if (!current) return;
  const source = current.dataset.source;
  const article = current.closest("article");
  if (key === "k") decided.set(source, ["keep", ""]);
  else if (key === "d") decided.set(source, ["drop", ""]);
  else if (key === "r") { classes.returnValue = ""; classes.showModal(); return; }
  else if (key === "u") { decided.delete(source); tied.delete(article); }
  else if (key === "s") {
    const sources = [...article.querySelectorAll("figure[data-source]")].map(f => f.dataset.source);
    if (sources.length < 2) return;
    tied.set(article, sources);
  } else return;
  unsaved = true;
  show();
}

function step(by) {
  const seen = figures.filter(figure => figure.offsetParent !== null);
  const next = seen[Math.min(Math.max(seen.indexOf(current) + by, 0), seen.length - 1)];
  if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
}

function table() {
  const rows = [["source", "decision", "value"]];
  for (const [source, [decision, value]] of decided) rows.push([source, decision, value]);
  const pairs = new Set();
  for (const [first, ...others] of tied.values()) {
    for (const other of others) {
      if (other === first || pairs.has(JSON.stringify([first, other]))) continue;
      pairs.add(JSON.stringify([first, other]));
      rows.push([first, "same lesion", other]);
    }
  }
  const cell = text => /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  return rows.map(row => row.map(cell).join(",") + "\n").join("");
}

for (const figure of figures) figure.addEventListener("focus", () => { current = figure; });
for (const button of document.querySelectorAll("button[data-key]")) {
  button.addEventListener("click", () => { decide(button.dataset.key); if (!classes.open) current?.focus(); });
}
classes.addEventListener("close", () => {
  if (classes.returnValue === "relabel") {
    decided.set(current.dataset.source, ["relabel", classes.querySelector("select").value]);
    unsaved = true;
    show();
  }
  current.focus();
});
document.addEventListener("keydown", event => {
  if (classes.open || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    event.preventDefault();
    step(event.key === "ArrowRight" ? 1 : -1);
  } else if (document.activeElement === current) {
    const key = event.key.toLowerCase();
    if (key === "r") event.preventDefault();
    decide(key);
  }
});
document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  unsaved = false;
  show();
});
window.addEventListener("beforeunload", event => { if (unsaved) event.preventDefault(); });
show();
