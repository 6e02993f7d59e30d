// Figures are drawn when they are first looked at: a report may hold hundreds.
(() => {
  const settings = { displaylogo: false, responsive: true };
  const draw = (box) => {
    if (box.dataset.drawn) return;
    box.dataset.drawn = "yes";
    const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
    Plotly.newPlot(box, figure.data, figure.layout, settings);
    if (box.dataset.figure.startsWith("pattern-")) addSquareRoot(box);
  };
  // Counts of a pattern by their square root, in which weak lines show.
  const addSquareRoot = (box) => {
    const button = document.createElement("button");
    const which = box.data.map((_, i) => i).filter((i) => !box.data[i].yaxis);
    const counts = which.map((i) => Array.from(box._fullData[i].y));
    const top = Math.max(...counts.flat());
    const marks = [0, 0.04, 0.16, 0.36, 0.64, 1].map((share) => Number((share * top).toPrecision(1)));
    const named = { "yaxis.tickvals": marks.map(Math.sqrt), "yaxis.ticktext": marks.map(String) };
    let rooted = false;
    const show = () => {
      button.textContent = rooted ? "show counts" : "show √ counts";
      const y = counts.map((row) => (rooted ? row.map((n) => Math.sqrt(Math.max(n, 0))) : row));
      const axis = rooted ? named : { "yaxis.tickvals": null, "yaxis.ticktext": null };
      const title = { "yaxis.title.text": rooted ? "counts (√ scale)" : "counts" };
      const free = { "yaxis.autorange": true };
      if (box.dataset.scaled) Plotly.update(box, { y }, { ...axis, ...title, ...free }, which);
      box.dataset.scaled = "yes";
    };
    button.addEventListener("click", () => { rooted = !rooted; show(); });
    show();
    box.before(button);
  };
  const drawIn = (part) => part.querySelectorAll(".figure").forEach(draw);
  document.querySelectorAll("main > .figure").forEach(draw);
  document.querySelectorAll("details").forEach((part) => {
    if (part.open) drawIn(part);
    part.addEventListener("toggle", () => part.open && drawIn(part));
  });
  const rounds = [...document.querySelectorAll("details.round")];
  document.getElementById("open-all").addEventListener("click", () =>
    rounds.forEach((part) => { part.open = true; }));
  document.getElementById("close-all").addEventListener("click", () =>
    rounds.forEach((part) => { part.open = false; }));
  const openTarget = () => {
    const part = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (part && part.matches("details.round")) part.open = true;
  };
  window.addEventListener("hashchange", openTarget);
  openTarget();
  window.addEventListener("beforeprint", () =>
    document.querySelectorAll("details[open] .figure[data-drawn]").forEach(Plotly.Plots.resize));
})();
