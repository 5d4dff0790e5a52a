// The page: what one chooses, moves and sees.

import { labelCard, make, number, percent, spaced, styleCard, tile } from "./cards.js";
import { cut, difference, draw, drawDifference, drawLarge, readFile } from "./images.js";
import { load } from "./loading.js";
import { withValue } from "./model.js";

const $ = (id) => document.getElementById(id);
let model, shape, numLabels, cards, styleCards;
const faces = []; // each an image, what it is called, its latent and what is read off it
// The face chosen, the donor, and the latent that is shown; what was read when last told.
const state = { face: null, donor: null, z: null, read: null, told: null };

// ---- What is seen ----

let wanted = 0;
let running = null;

/** Shows the latent as it is once that is done; what came meanwhile is shown at once. */
function refresh() {
  wanted += 1;
  running ??= catchUp().finally(() => (running = null));
  return running;
}

async function catchUp() {
  for (let done = 0; done !== wanted; ) {
    done = wanted;
    await show(state.z);
  }
}

async function show(z) {
  const begin = performance.now();
  const [picture] = await model.decode([z]);
  const [read] = await model.classify([picture]);
  Object.assign(state, { picture, read });
  drawLarge($("picture"), picture, shape);
  showDifference();
  cards.forEach((card, i) => card.show(z[i], read[i]));
  styleCards.forEach((card, i) => card.show(deviations(z, i)));
  performance.measure("edit", { start: begin });
}

function showDifference() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).match(/[\da-f]{2}/gi).map((part) => parseInt(part, 16));
  const colors = { shade: color("--shade"), light: color("--light"), change: color("--change") };
  const { reconstruction } = state.face;
  drawDifference($("changed"), difference(state.picture, reconstruction, shape), reconstruction, shape, colors);
}

/** Shows a latent, then says what was done and what the model now reads. */
async function change(z, what) {
  state.z = z;
  await refresh();
  $("status").textContent = `${what}; ${news(state.told, state.read)}.`;
  state.told = state.read;
  remember();
  walkSoon();
}

/** Which labels the model reads that it did not read before, and which no longer. */
function news(before, now) {
  const turned = model.names.map((_, i) => i).filter((i) => now[i] > 0.5 !== before[i] > 0.5);
  const come = turned.filter((i) => now[i] > 0.5).map((i) => `${nameOf(i)} (${percent(now[i])})`);
  const gone = turned.filter((i) => now[i] <= 0.5).map(nameOf);
  const parts = [come.join(", "), gone.length ? `no longer ${gone.join(", ")}` : ""].filter(Boolean);
  return turned.length ? `the model now reads ${parts.join(", ")}` : "the model reads the same labels as before";
}

const nameOf = (i) => spaced(model.names[i]);
const readOff = (read) => model.names.filter((_, i) => read[i] > 0.5).map(spaced).join(", ") || "no label";

// ---- What one does ----

async function choose(face) {
  face.reconstruction ??= (await model.decode([face.z]))[0];
  state.face = face;
  draw($("original"), face.image, shape);
  draw($("reconstruction"), face.reconstruction, shape);
  cards.forEach((card, i) => card.begin(face.z[i]));
  styleCards.forEach((card, i) => card.begin(deviations(face.z, i)));
  state.z = face.z;
  await refresh();
  state.told = state.read;
  $("status").textContent = `${face.name}: the model reads ${readOff(face.read)}.`;
  document.querySelectorAll("[name=face]").forEach((input) => (input.checked = faces[input.value] === face));
  remember();
  walkSoon();
}

function move(i, value, isOver, title, told = value) {
  const z = withValue(state.z, i, value);
  if (isOver) return change(z, `${title} moved to ${number(told)}`);
  state.z = z;
  return refresh();
}

function set(index, value) {
  const z = model.edited(state.z, { [model.names[index]]: value });
  const others = changedBeside(z, [index]).map(nameOf);
  const away = others.length ? `; ${others.join(", ")} taken away` : "";
  return change(z, `${nameOf(index)} ${value ? "put on" : "taken away"}${away}`);
}

function swap(labels) {
  const z = model.swapped(state.z, state.donor.z, labels);
  const donor = state.donor.name.split(":")[0];
  if (labels === undefined) return change(z, `All characteristics taken from ${donor}`);
  const others = changedBeside(z, labels.map((label) => model.index(label))).map(nameOf);
  const along = others.length ? ` and with it ${others.join(", ")}` : "";
  return change(z, `${labels.map(spaced).join(", ")} taken from ${donor}${along}`);
}

function changedBeside(z, indices) {
  return model.names.map((_, i) => i).filter((i) => z[i] !== state.z[i] && !indices.includes(i));
}

function reset(i, title) {
  return change(withValue(state.z, i, state.face.z[i]), `${title} as it was`);
}

function restyle(values, what) {
  const z = state.z.slice();
  z.set(values, numLabels);
  return change(z, what);
}

function deviations(z, i) {
  const { loc, scale } = model.spec.style;
  return (z[numLabels + i] - loc[i]) / scale[i];
}

function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

// ---- Walks ----

let walkTimer;

function walkSoon() {
  clearTimeout(walkTimer);
  walkTimer = setTimeout(walk, 150);
}

async function walk() {
  const labels = [$("along").value, $("along-too").value].filter(Boolean);
  const latents = model.walked(state.z, labels, labels.length > 1 ? 5 : 9);
  const pictures = await model.decode(latents);
  const indices = labels.map((label) => model.index(label));
  stepButtons(labels, latents.length).forEach((button, k) => {
    const where = indices.map((i) => `${nameOf(i)} at ${number(latents[k][i])}`).join(", ");
    button.title = where;
    button.setAttribute("aria-label", `Go on from ${where}`);
    button.onclick = () => change(latents[k], where);
    draw(button.firstChild, pictures[k], shape);
  });
}

/** The buttons of a walk: those that there are, so that none loses the focus, or new ones. */
function stepButtons(labels, count) {
  const way = labels.join();
  if ($("walk").dataset.way !== way) {
    const names = labels.map(spaced);
    const across = names.at(-1);
    const ends = [`without ${across}`, `with ${across} →`].map((end) => make("span", {}, end));
    const button = () => make("button", { type: "button" }, make("canvas", { "aria-hidden": "true" }));
    const steps = make("div", { class: `steps of-${labels.length > 1 ? 5 : 9}` });
    steps.append(...Array.from({ length: count }, button));
    const down = labels.length > 1 ? `Downwards: from without ${names[0]} to with.` : "";
    $("walk").replaceChildren(make("p", { class: "ends" }, ...ends), steps, make("p", { class: "hint" }, down));
    $("walk").dataset.way = way;
  }
  return [...$("walk").querySelectorAll("button")];
}

// ---- The address of what is seen ----

/** Keeps what differs from the face in the address, which one may share. */
function remember() {
  const face = faces.indexOf(state.face);
  const parts = new URLSearchParams({ face: face + 1 });
  state.z.forEach((value, i) => {
    if (value !== state.face.z[i]) parts.set(model.names[i] ?? `style-${i - numLabels + 1}`, value.toPrecision(4));
  });
  history.replaceState(null, "", state.face.isOwn ? location.pathname : `#${parts}`);
}

/** The face, and the latent, of an address. */
function recall() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const face = faces[parts.get("face") - 1] ?? faces[0];
  const z = face.z.map((value, i) => {
    const given = parts.get(model.names[i] ?? `style-${i - numLabels + 1}`);
    return given === null || Number.isNaN(Number(given)) ? value : Number(given);
  });
  return [face, z];
}

// ---- The page ----

function addFace(image, z, isOwn = false) {
  const read = model.probabilities(z);
  const name = `${isOwn ? "Your picture" : `Picture ${faces.length + 1}`}: ${readOff(read)}`;
  const face = { image, z, read, name, isOwn };
  const index = faces.push(face) - 1;
  for (const [strip, choice] of [["faces", () => choose(face)], ["donors", () => chooseDonor(face)]]) {
    const canvas = make("canvas");
    draw(canvas, image, shape);
    $(strip).append(tile(strip.slice(0, -1), index, name.replace(": ", ", reads "), canvas, choice));
  }
  return face;
}

function chooseDonor(face) {
  state.donor = face;
  document.querySelectorAll("[name=donor]").forEach((input) => (input.checked = faces[input.value] === face));
  const chips = model.names.map((name, i) => {
    const has = face.read[i] > 0.5;
    const hint = has ? ", which that one has" : ", which that one has not";
    const button = { type: "button", class: has ? "has" : "", click: () => swap([name]) };
    return make("button", button, make("i"), spaced(name), make("span", { class: "visually-hidden" }, hint));
  });
  $("takes").replaceChildren(...chips, make("button", { type: "button", click: () => swap() }, "All of them"));
}

async function take(file) {
  $("file-error").textContent = "";
  if (!file) return;
  try {
    const image = await readFile(file, shape);
    const [z] = await model.encode([image]);
    await choose(addFace(image, z, true));
  } catch (error) {
    $("file-error").textContent = error.message;
  }
}

function makeControls() {
  cards = model.labels.map((label, i) =>
    labelCard(label, i, {
      move: (z, isOver) => move(i, z, isOver, nameOf(i)),
      set: (value) => set(i, value),
      reset: () => reset(i, nameOf(i)),
    }),
  );
  const { loc, scale } = model.spec.style;
  styleCards = loc.map((mean, k) => {
    const [i, title] = [numLabels + k, `Style ${k + 1}`];
    const to = (place, isOver) => move(i, mean + place * scale[k], isOver, title, place);
    return styleCard(k, { move: to, reset: () => reset(i, title) });
  });
  $("cards").replaceChildren(...cards.map((card) => card.element));
  $("style-cards").replaceChildren(...styleCards.map((card) => card.element));
  $("style-title").textContent = `${loc.length} directions of style`;
  const option = (name) => make("option", { value: name }, spaced(name));
  $("along").replaceChildren(...model.names.map(option));
  $("along-too").replaceChildren(make("option", { value: "" }, "nothing else"), ...model.names.map(option));
}

function listen() {
  $("reset").addEventListener("click", () => change(state.face.z, "All as it was"));
  $("save").addEventListener("click", save);
  const draws = () => model.spec.style.loc.map((mean, k) => mean + normal() * model.spec.style.scale[k]);
  $("draw-style").addEventListener("click", () => restyle(draws(), "Another style drawn"));
  $("reset-style").addEventListener("click", () => restyle(state.face.z.slice(numLabels), "The style as it was"));
  for (const id of ["along", "along-too"]) $(id).addEventListener("change", walk);
  $("file").addEventListener("change", (event) => take(event.target.files[0]).then(() => (event.target.value = "")));
  const dropping = (is) => document.body.classList.toggle("dropping", is);
  document.addEventListener("dragover", (event) => (event.preventDefault(), dropping(true)));
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? dropping(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dropping(false);
    take(event.dataTransfer.files[0]);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showDifference);
}

function save() {
  make("a", { href: $("picture").toDataURL(), download: "picture.png" }).click();
}

async function start() {
  const loaded = await load((share) => ($("progress").value = share));
  ({ model } = loaded);
  shape = model.spec.image;
  numLabels = model.labels.length;
  makeControls();
  const images = cut(loaded.sprite, loaded.page.faces, shape);
  (await model.encode(images)).forEach((z, i) => addFace(images[i], z));
  chooseDonor(faces[1] ?? faces[0]);
  const [face, z] = recall();
  const home = loaded.page.home;
  if (home) Object.assign($("home"), { href: home, hidden: false });
  $("loading").hidden = true;
  $("main").hidden = false;
  await choose(face);
  if (z.some((value, i) => value !== face.z[i])) await change(z, "As in the address");
  listen();
  return { model, faces, state, readFile, shape };
}

window.addEventListener("unhandledrejection", ({ reason }) => {
  $("status").textContent = `Something went wrong (${reason.message}): please load the page again.`;
});
window.explorer = start();
window.explorer.catch((error) => window.fail(error.message));
