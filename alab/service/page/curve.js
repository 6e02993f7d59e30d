// Small line drawings: heating curves and refined patterns.

import { shape } from "./dom.js";

const WIDTH = 340, HEIGHT = 130, LEFT = 34, RIGHT = 6, TOP = 8, BOTTOM = 18;

export function heatingCurve(curve, topC, label) {
  const lastS = Math.max(3600, ...curve.elapsed_s);
  const highestC = Math.max(topC ?? 0, 100);
  const x = (s) => LEFT + (s / lastS) * (WIDTH - LEFT - RIGHT);
  const y = (c) => HEIGHT - BOTTOM - (c / highestC) * (HEIGHT - TOP - BOTTOM);
  const drawing = frame(label);
  for (const c of ticks(highestC, 3)) {
    drawing.append(
      shape("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(c), y2: y(c) }),
      shape("text", { x: LEFT - 5, y: y(c) + 3, "text-anchor": "end" }, c));
  }
  for (const h of ticks(lastS / 3600, 5)) {
    const at = x(h * 3600);
    const anchor = at > WIDTH - 20 ? "end" : "middle";
    drawing.append(shape("text", { x: at, y: HEIGHT - 4, "text-anchor": anchor }, `${h} h`));
  }
  if (!curve.elapsed_s.length) {
    drawing.append(shape("text", { x: (LEFT + WIDTH) / 2, y: HEIGHT / 2 - 8, "text-anchor": "middle" }, "no reading yet"));
  }
  const measured = curve.elapsed_s.map((s, i) => [x(s), y(curve.temperature_c[i])]);
  const wanted = curve.elapsed_s.map((s, i) =>
    (curve.setpoint_c[i] === null ? null : [x(s), y(curve.setpoint_c[i])]));
  if (measured.length > 1) {
    const floor = y(0);
    const under = `${path(measured)}L${measured.at(-1)[0]},${floor}L${measured[0][0]},${floor}Z`;
    drawing.append(shape("path", { class: "under", d: under }));
  }
  drawing.append(
    shape("path", { class: "setpoint", d: path(wanted) }),
    shape("path", { class: "measured", d: path(measured) }));
  return drawing;
}

export function refinedPattern(pattern) {
  const { observed, calculated, start_two_theta_deg: start, step_two_theta_deg: width } = pattern;
  if (!(observed?.length > 1) || observed.length !== calculated?.length) return null;
  const angles = observed.map((_, i) => start + i * width);
  const wide = 900, high = 260;
  const most = observed.reduce((top, counts) => Math.max(top, counts), 1);
  const step = Math.max(1, Math.floor(angles.length / 1800));
  const first = angles[0], span = angles.at(-1) - first;
  const x = (angle) => LEFT + ((angle - first) / span) * (wide - LEFT - RIGHT);
  const y = (counts) => high * 0.74 - (counts / most) * (high * 0.74 - TOP);
  const line = (values, at) => path(values
    .map((value, i) => (i % step ? null : [x(angles[i]), at(value)])).filter(Boolean));
  const drawing = frame("Diffraction pattern with its refinement", wide, high);
  for (const angle of ticks(angles.at(-1), 9).filter((angle) => angle >= first)) {
    drawing.append(shape("text", { x: x(angle), y: high - 4, "text-anchor": "middle" }, `${angle}°`));
  }
  drawing.append(shape("path", { class: "observed", d: line(observed, y) }));
  const rest = observed.map((counts, i) => counts - calculated[i]);
  const below = (counts) => high * 0.85 - (counts / most) * (high * 0.74 - TOP);
  drawing.append(
    shape("path", { class: "calculated", d: line(calculated, y) }),
    shape("path", { class: "difference", d: line(rest, below) }));
  return drawing;
}

function frame(label, width = WIDTH, height = HEIGHT) {
  return shape("svg", {
    class: "curve", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label,
  });
}

function path(points) {
  let pen = "M";
  return points.map((point) => {
    if (point === null) {
      pen = "M";
      return "";
    }
    const drawn = `${pen}${point[0].toFixed(1)},${point[1].toFixed(1)}`;
    pen = "L";
    return drawn;
  }).join("");
}

function ticks(last, count) {
  const steps = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
  const step = steps.find((candidate) => last / candidate <= count) ?? 2000;
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => i * step);
}
