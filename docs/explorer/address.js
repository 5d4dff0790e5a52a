// The address of what is seen, after the #: which picture, and the latents that were moved.

const nameOf = (names, i) => names[i] ?? `style-${i - names.length + 1}`;

/** Writes where a latent differs from where its picture begins. */
export function toAddress(picture, z, start, names) {
  const parts = new URLSearchParams({ picture: picture + 1 });
  z.forEach((value, i) => {
    if (value !== start[i]) parts.set(nameOf(names, i), value.toPrecision(4));
  });
  return `#${parts}`;
}

/** Reads which of so many pictures an address means: the first, if none. */
export function pictureOf(address, count) {
  const picture = Number(new URLSearchParams(address.slice(1)).get("picture"));
  return Number.isInteger(picture) && picture > 0 && picture <= count ? picture - 1 : 0;
}

/** Reads the latent of an address; what it does not say is as at the start. */
export function latentOf(address, start, names) {
  const parts = new URLSearchParams(address.slice(1));
  return start.map((value, i) => {
    const given = parts.get(nameOf(names, i));
    return given && Number.isFinite(Number(given)) ? Number(given) : value;
  });
}
