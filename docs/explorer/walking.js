// Pictures on their way along one label, or two, each of which one can go on from.

import { make } from "./cards.js";
import { draw } from "./images.js";
import { number, spaced } from "./words.js";

/**
 * Walks from a latent.
 *
 * @param place the element that the pictures go into.
 * @param labels the names of one label, or two.
 * @param goOn what to do with a latent that is chosen, and where it is in words.
 */
export async function walk(model, place, z, labels, goOn) {
  const latents = model.walked(z, labels, labels.length > 1 ? 5 : 9);
  const pictures = await model.decode(latents);
  const indices = labels.map((label) => model.index(label));
  buttons(place, labels, latents.length).forEach((button, k) => {
    const where = indices.map((i) => `${spaced(model.names[i])} at ${number(latents[k][i])}`).join(", ");
    button.title = where;
    button.setAttribute("aria-label", `Go on from ${where}`);
    button.onclick = () => goOn(latents[k], where);
    draw(button.firstChild, pictures[k], model.spec.image);
  });
}

/** The buttons of a walk: those that there are, so that none loses the focus, or new ones. */
function buttons(place, labels, count) {
  const way = labels.join();
  if (place.dataset.way !== way) {
    const names = labels.map(spaced);
    const ends = [`without ${names.at(-1)}`, `with ${names.at(-1)} →`].map((end) => make("span", {}, end));
    const button = () => make("button", { type: "button" }, make("canvas", { "aria-hidden": "true" }));
    const steps = make("div", { class: `steps ${labels.length > 1 ? "square" : "row"}` });
    steps.append(...Array.from({ length: count }, button));
    const down = labels.length > 1 ? [make("p", { class: "hint" }, `Downwards: from without ${names[0]} to with.`)] : [];
    place.replaceChildren(make("p", { class: "ends" }, ...ends), steps, ...down);
    place.dataset.way = way;
  }
  return [...place.querySelectorAll("button")];
}
