// The fragment of the address: the image, and the latents that were changed.

const nameOf = (names, i) => names[i] ?? `style-${i - names.length + 1}`;

/** Writes the entries of a latent that differ from the encoded image. */
export function toAddress(picture, z, start, names) {
  const parts = new URLSearchParams({ picture: picture + 1 });
  z.forEach((value, i) => {
    if (value !== start[i]) parts.set(nameOf(names, i), value.toPrecision(4));
  });
  return `#${parts}`;
}

/** Reads the index of the image from an address; the first by default. */
export function pictureOf(address, count) {
  const picture = Number(new URLSearchParams(address.slice(1)).get("picture"));
  return Number.isInteger(picture) && picture > 0 && picture <= count ? picture - 1 : 0;
}

/** Reads the latent of an address; other entries are as in the encoded image. */
export function latentOf(address, start, names) {
  const parts = new URLSearchParams(address.slice(1));
  return start.map((value, i) => {
    const given = parts.get(nameOf(names, i));
    return given && Number.isFinite(Number(given)) ? Number(given) : value;
  });
}
