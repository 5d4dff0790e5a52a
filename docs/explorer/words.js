// The sentences of the page, and the format of numbers and names.

/** A name with spaces in place of underscores, without characters that control lines or directions. */
export const spaced = (name) => name.replaceAll("_", " ").replace(/[\p{Cc}\p{Cf}]+/gu, " ");
export const percent = (probability) => `${Math.round(100 * probability)} %`;
export const number = (value) => value.toFixed(1).replace(/^-(?=.*[1-9])/, "−").replace("-", "");

const listed = (names) => names.map(spaced).join(", ");

/** The labels with a predicted probability above one half. */
export function predictedLabels(names, predicted) {
  return listed(names.filter((_, i) => predicted[i] > 0.5)) || "no label";
}

/** The labels whose prediction changed. */
export function news(names, before, now) {
  const changed = names.map((_, i) => i).filter((i) => now[i] > 0.5 !== before[i] > 0.5);
  if (!changed.length) return "the predicted labels are unchanged";
  const added = changed.filter((i) => now[i] > 0.5).map((i) => `${spaced(names[i])} (${percent(now[i])})`);
  const removed = listed(changed.filter((i) => now[i] <= 0.5).map((i) => names[i]));
  const parts = removed ? [...added, `no longer ${removed}`] : added;
  return `the model now predicts ${parts.join(", ")}`;
}

/** The effect of setting a label, on it and on others. */
export function set(name, value, others) {
  const off = others.length ? `; ${listed(others)} turned off` : "";
  return `${spaced(name)} turned ${value ? "on" : "off"}${off}`;
}

/** The characteristics that a swap took. */
export function taken(names, donor, others) {
  const also = others.length ? `, together with ${listed(others)}` : "";
  return `${names ? listed(names) : "All characteristics"} taken from ${donor}${also}`;
}
