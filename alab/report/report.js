// Figures are drawn when they are first looked at: a report may hold hundreds.
(() => {
  const settings = { displaylogo: false, responsive: true };
  const draw = (box) => {
    if (box.dataset.drawn) return;
    box.dataset.drawn = "yes";
    const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
    Plotly.newPlot(box, figure.data, figure.layout, settings);
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
