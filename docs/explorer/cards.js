// The controls: a card for each label and each dimension of style, and a tile for each image.

import { number, percent, spaced } from "./words.js";

/** Makes an element from attributes and children; attributes that are functions become event listeners. */
export function make(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/**
 * Makes the card of a label.
 *
 * @param act the callbacks `move(z, isOver)`, `set(value)` and `reset()`.
 */
export function labelCard({ name, loc, scale }, index, act) {
  const title = spaced(name);
  const sign = loc[1] < loc[0] ? -1 : 1; // the side with the label is always on the right
  const ends = [0, 1].map((value) => loc[value] + (value ? sign : -sign) * 3 * scale[value]);
  const { input, dial } = slider(`label-${index}`, (place, isOver) => act.move(sign * place, isOver));
  const output = make("span", { class: "reading" }); // an <output> would be announced at each edit
  const fill = make("i");
  const value = make("span", { class: "value", "aria-hidden": "true" });
  const [off, on] = ["Off", "On"].map((text, i) =>
    make("button", { type: "button", "aria-label": `${title} ${text.toLowerCase()}`, click: () => act.set(i) }, text),
  );
  const marks = make("svg:svg", { viewBox: "0 0 200 20", preserveAspectRatio: "none", "aria-hidden": "true" });
  dial.prepend(marks);
  const element = make(
    "div",
    { class: "card" },
    make(
      "div",
      { class: "line" },
      make("label", { for: input.id }, title),
      value,
      make("span", { class: "bar", "aria-hidden": "true" }, fill),
      output,
    ),
    make("div", { class: "line" }, dial, make("span", { class: "group" }, off, on), resetButton(title, act.reset)),
  );
  return {
    element,
    /** Starts from another image, which the range includes and a mark shows. */
    begin(start) {
      const [from, to] = limits(input, ...ends.map((end) => sign * end), sign * start);
      const at = (z) => (200 * (sign * z - from)) / (to - from);
      const hills = loc.map((_, i) =>
        make("svg:path", { class: `hill ${Boolean(i)}`, d: density(at(loc[i]), (200 * scale[i]) / (to - from)) }),
      );
      const mark = make("svg:line", { class: "start", x1: at(start), x2: at(start), y1: 3, y2: 20 });
      marks.replaceChildren(...hills, mark);
    },
    show(z, probability) {
      input.value = sign * z;
      input.setAttribute("aria-valuetext", `${title}: ${number(z)}, predicted probability ${percent(probability)}`);
      value.textContent = number(z);
      output.textContent = percent(probability);
      fill.style.width = `${100 * probability}%`;
      [off, on].forEach((button, i) => button.setAttribute("aria-pressed", z === Math.fround(loc[i])));
    },
  };
}

/** Makes the card of a dimension of style, in standard deviations of its prior. */
export function styleCard(index, act) {
  const title = `Style ${index + 1}`;
  const { input, dial } = slider(`style-${index}`, act.move);
  const element = make(
    "div",
    {},
    make("label", { for: input.id }, title),
    make("div", { class: "line" }, dial, resetButton(title, act.reset)),
  );
  return {
    element,
    begin: (start) => limits(input, -3, 3, start),
    show(value) {
      input.value = value;
      input.setAttribute("aria-valuetext", `${title}: ${number(value)} standard deviations`);
    },
  };
}

/** Makes a radio button for an image. */
export function tile(group, index, name, canvas, choose) {
  const input = make("input", { type: "radio", class: "hidden-input", name: group, value: index, change: choose });
  canvas.className = "thumb";
  return make("label", { title: name }, input, canvas, make("span", { class: "visually-hidden" }, name));
}

function slider(id, move) {
  const input = make("input", { type: "range", id, step: "any" });
  input.addEventListener("input", () => move(Number(input.value), false));
  input.addEventListener("change", () => move(Number(input.value), true));
  return { input, dial: make("div", { class: "dial" }, input) };
}

/** Sets a slider's range to include all given values, in 100 steps. */
function limits(input, ...values) {
  const [from, to] = [Math.min(...values), Math.max(...values)];
  Object.assign(input, { min: from, max: to, step: (to - from) / 100 });
  return [from, to];
}

function density(center, width) {
  const points = Array.from({ length: 49 }, (_, k) => {
    const x = (k - 24) / 8;
    return `${(center + x * width).toFixed(2)},${(20 - 18 * Math.exp(-(x ** 2) / 2)).toFixed(2)}`;
  });
  return `M${points.join("L")}`;
}

function resetButton(title, reset) {
  return make("button", { type: "button", "aria-label": `Reset ${title}`, title: `Reset ${title}`, click: reset }, "↺");
}
