// What is said, and how numbers and names are written.

export const spaced = (name) => name.replaceAll("_", " ");
export const percent = (probability) => `${Math.round(100 * probability)} %`;
export const number = (value) => value.toFixed(1).replace(/^-(?=.*[1-9])/, "−").replace("-", "");

const listed = (names) => names.map(spaced).join(", ");

/** The labels that are likelier true than false. */
export function readOff(names, read) {
  return listed(names.filter((_, i) => read[i] > 0.5)) || "no label";
}

/** Which labels the model reads that it did not read before, and which no longer. */
export function news(names, before, now) {
  const turned = names.map((_, i) => i).filter((i) => now[i] > 0.5 !== before[i] > 0.5);
  if (!turned.length) return "the model reads the same labels as before";
  const come = turned.filter((i) => now[i] > 0.5).map((i) => `${spaced(names[i])} (${percent(now[i])})`);
  const gone = listed(turned.filter((i) => now[i] <= 0.5).map((i) => names[i]));
  const parts = gone ? [...come, `no longer ${gone}`] : come;
  return `the model now reads ${parts.join(", ")}`;
}

/** What setting a label did, to it and to others. */
export function set(name, value, others) {
  const away = others.length ? `; ${listed(others)} taken away` : "";
  return `${spaced(name)} ${value ? "put on" : "taken away"}${away}`;
}

/** What a swap took. */
export function taken(names, donor, others) {
  const along = others.length ? ` and with it ${listed(others)}` : "";
  return `${names ? listed(names) : "All characteristics"} taken from ${donor}${along}`;
}
