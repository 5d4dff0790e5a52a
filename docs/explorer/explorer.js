// The page: its state, its controls, and the updates of the image.

import { latentOf, pictureOf, toAddress } from "./address.js";
import { labelCard, make, styleCard, tile } from "./cards.js";
import { cut, difference, draw, drawDifference, drawLarge, readFile } from "./images.js";
import { load } from "./loading.js";
import { withValue } from "./model.js";
import { walk } from "./walking.js";
import * as words from "./words.js";

const $ = (id) => document.getElementById(id);
let model, shape, cards, styleCards;
const faces = []; // each an image, its latent, its predicted probabilities and its name
// The chosen image and the donor; the latent, its image, its predicted probabilities, and those last announced.
const state = { face: null, donor: null, z: null, picture: null, predicted: null, announced: null };

// ---- The image ----

let wanted = 0;
let running = null;

/** Shows the current latent; calls that arrive during an update share the next one. */
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
  const [predicted] = await model.classify([picture]);
  Object.assign(state, { picture, predicted });
  drawLarge($("picture"), picture, shape);
  showDifference();
  cards.forEach((card, i) => card.show(z[i], predicted[i]));
  styleCards.forEach((card, i) => card.show(standardized(z, i)));
  performance.measure("edit", { start: begin });
}

function showDifference() {
  const style = getComputedStyle(document.documentElement);
  const parts = (name) => style.getPropertyValue(name).match(/[\da-f]{2}/gi);
  const color = (name) => parts(name).map((part) => parseInt(part, 16));
  const colors = { shade: color("--shade"), light: color("--light"), change: color("--change") };
  const { reconstruction } = state.face;
  const changed = difference(state.picture, reconstruction, shape);
  drawDifference($("changed"), changed, reconstruction, shape, colors);
}

/** Shows a latent, then announces the change and the predicted labels. */
async function change(z, what) {
  state.z = z;
  await refresh();
  announce(`${what}; ${words.news(model.names, state.announced, state.predicted)}.`);
}

function announce(sentence) {
  $("status").textContent = sentence;
  state.announced = state.predicted;
  const address = toAddress(faces.indexOf(state.face), state.z, state.face.z, model.names);
  history.replaceState(null, "", state.face.isOwn ? location.pathname : address);
  walkSoon();
}

let walkTimer;

function walkSoon() {
  clearTimeout(walkTimer);
  const labels = [$("along").value, $("along-too").value].filter(Boolean);
  walkTimer = setTimeout(() => walk(model, $("walk"), state.z, labels, change), 150);
}

// ---- Interventions ----

async function choose(face) {
  face.reconstruction ??= (await model.decode([face.z]))[0];
  state.face = face;
  draw($("original"), face.image, shape);
  draw($("reconstruction"), face.reconstruction, shape);
  cards.forEach((card, i) => card.begin(face.z[i]));
  styleCards.forEach((card, i) => card.begin(standardized(face.z, i)));
  check("face", face);
  state.z = face.z;
  await refresh();
  announce(`${face.name}: the model predicts ${words.predictedLabels(model.names, face.predicted)}.`);
}

function move(i, value, isOver, what) {
  const z = withValue(state.z, i, value);
  if (isOver) return change(z, what);
  state.z = z;
  return refresh();
}

function set(index, value) {
  const z = model.edited(state.z, { [model.names[index]]: value });
  return change(z, words.set(model.names[index], value, otherChanges(z, [model.names[index]])));
}

function swap(names) {
  const z = model.swapped(state.z, state.donor.z, names);
  return change(z, words.taken(names, state.donor.name, otherChanges(z, names ?? model.names)));
}

/** The other labels whose characteristics changed. */
function otherChanges(z, names) {
  return model.names.filter((name, i) => z[i] !== state.z[i] && !names.includes(name));
}

function reset(i, title) {
  return change(withValue(state.z, i, state.face.z[i]), `${title} reset`);
}

function restyle(values, what) {
  const z = state.z.slice();
  z.set(values, model.labels.length);
  return change(z, what);
}

function sampledStyle() {
  const { loc, scale } = model.spec.style;
  return loc.map((mean, k) => {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random())); // the Box-Muller transform
    return mean + scale[k] * radius * Math.cos(2 * Math.PI * Math.random());
  });
}

/** A dimension of style in standard deviations of its prior. */
function standardized(z, k) {
  const { loc, scale } = model.spec.style;
  return (z[model.labels.length + k] - loc[k]) / scale[k];
}

// ---- The page ----

function addFace(image, z, isOwn = false) {
  const predicted = model.probabilities(z);
  const name = isOwn ? "Your image" : `Image ${faces.length + 1}`;
  const face = { image, z, predicted, name, isOwn };
  const index = faces.push(face) - 1;
  const title = `${name}, predicted: ${words.predictedLabels(model.names, predicted)}`;
  for (const [group, choice] of [["face", choose], ["donor", chooseDonor]]) {
    const canvas = make("canvas");
    draw(canvas, image, shape);
    $(`${group}s`).append(tile(group, index, title, canvas, () => choice(face)));
  }
  return face;
}

function check(group, face) {
  document.querySelectorAll(`[name=${group}]`).forEach((input) => (input.checked = faces[input.value] === face));
}

function chooseDonor(face) {
  state.donor = face;
  check("donor", face);
  const chips = model.names.map((name, i) => {
    const has = face.predicted[i] > 0.5;
    const hint = make("span", { class: "visually-hidden" }, has ? ", present" : ", absent");
    const button = { type: "button", class: has ? "has" : "", click: () => swap([name]) };
    return make("button", button, make("i"), words.spaced(name), hint);
  });
  $("takes").replaceChildren(...chips, make("button", { type: "button", click: () => swap() }, "All of them"));
}

/** Loads an image file. */
async function take(file) {
  $("file-error").textContent = "";
  if (!file) return;
  try {
    const image = await readFile(file, shape, model.spec.preprocessing);
    const [z] = await model.encode([image]);
    await choose(addFace(image, z, true));
  } catch (error) {
    $("file-error").textContent = error.message;
  }
}

function makeControls() {
  cards = model.labels.map((label, i) => {
    const title = words.spaced(label.name);
    const moved = (z, isOver) => move(i, z, isOver, `${title} moved to ${words.number(z)}`);
    return labelCard(label, i, { move: moved, set: (value) => set(i, value), reset: () => reset(i, title) });
  });
  const { loc, scale } = model.spec.style;
  styleCards = loc.map((mean, k) => {
    const [i, title] = [model.labels.length + k, `Style ${k + 1}`];
    const what = (by) => `${title} moved to ${words.number(by)} standard deviations`;
    const moved = (by, isOver) => move(i, mean + by * scale[k], isOver, what(by));
    return styleCard(k, { move: moved, reset: () => reset(i, title) });
  });
  $("cards").replaceChildren(...cards.map((card) => card.element));
  $("style-cards").replaceChildren(...styleCards.map((card) => card.element));
  $("style-title").textContent = `${loc.length} dimensions of style`;
  const options = () => model.names.map((name) => make("option", { value: name }, words.spaced(name)));
  $("along").replaceChildren(...options());
  $("along-too").replaceChildren(make("option", { value: "" }, "nothing else"), ...options());
}

function listen() {
  const onClick = (id, act) => $(id).addEventListener("click", act);
  onClick("reset", () => change(state.face.z, "All reset"));
  onClick("draw-style", () => restyle(sampledStyle(), "New style sampled"));
  onClick("reset-style", () => restyle(state.face.z.slice(model.labels.length), "Style reset"));
  onClick("save", () => make("a", { href: $("picture").toDataURL(), download: "image.png" }).click());
  for (const id of ["along", "along-too"]) $(id).addEventListener("change", walkSoon);
  $("file").addEventListener("change", async () => {
    await take($("file").files[0]);
    $("file").value = ""; // so that the same file can be chosen again
  });
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

function showProgress(share, bytes) {
  $("progress").value = share;
  $("loading-text").textContent = `Loading the model, ${Math.round(bytes / 1e6)} MB …`;
}

async function start() {
  const { model: loaded, sprite, page } = await load(showProgress);
  [model, shape] = [loaded, loaded.spec.image];
  makeControls();
  const images = cut(sprite, page.faces, shape);
  (await model.encode(images)).forEach((z, i) => addFace(images[i], z));
  chooseDonor(faces[1] ?? faces[0]);
  const face = faces[pictureOf(location.hash, faces.length)];
  const z = latentOf(location.hash, face.z, model.names);
  if (page.home) Object.assign($("home"), { href: page.home, hidden: false });
  $("loading").hidden = true;
  $("main").hidden = false;
  await choose(face);
  if (z.some((value, i) => value !== face.z[i])) await change(z, "Restored from the address");
  listen();
  return { model, faces, state, readFile };
}

window.addEventListener("unhandledrejection", ({ reason }) => {
  $("status").textContent = `Something went wrong (${reason.message}): please load the page again.`;
});
window.explorer = start();
window.explorer.catch((error) => window.fail(error.message));
