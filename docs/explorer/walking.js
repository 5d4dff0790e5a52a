// Traversals of one label or two; any step can be chosen as the new image.

import { make } from "./cards.js";
import { draw } from "./images.js";
import { number, spaced } from "./words.js";

/**
 * Traverses labels from a latent.
 *
 * @param place the element that the images go into.
 * @param labels the names of one label, or two.
 * @param choose called with the latent that was chosen, and its description.
 */
export async function walk(model, place, z, labels, choose) {
  const latents = model.walked(z, labels, labels.length > 1 ? 5 : 9);
  const images = await model.decode(latents);
  const indices = labels.map((label) => model.index(label));
  buttons(place, labels, latents.length).forEach((button, k) => {
    const description = indices.map((i) => `${spaced(model.names[i])} at ${number(latents[k][i])}`).join(", ");
    button.title = description;
    button.setAttribute("aria-label", `Continue from ${description}`);
    button.onclick = () => choose(latents[k], description);
    draw(button.firstChild, images[k], model.spec.image);
  });
}

/** The buttons of a walk. Existing buttons are reused, so that the focus is kept. */
function buttons(place, labels, count) {
  const key = JSON.stringify(labels);
  if (place.dataset.labels !== key) {
    const names = labels.map(spaced);
    const ends = [`without ${names.at(-1)}`, `with ${names.at(-1)} →`].map((end) => make("span", {}, end));
    const button = () => make("button", { type: "button" }, make("canvas", { "aria-hidden": "true" }));
    const steps = make("div", { class: `steps ${labels.length > 1 ? "square" : "row"}` });
    steps.append(...Array.from({ length: count }, button));
    const down = labels.length > 1 ? [make("p", { class: "hint" }, `From top to bottom: without ${names[0]} to with it.`)] : [];
    place.replaceChildren(make("p", { class: "ends" }, ...ends), steps, ...down);
    place.dataset.labels = key;
  }
  return [...place.querySelectorAll("button")];
}
