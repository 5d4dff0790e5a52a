// The fragment of the address: the image, and the latents that were changed.

// The prefix keeps a label that is called "picture" or "style-1" apart from the image and from the style.
const PREFIX = "label-";
const nameOf = (names, i) => (i < names.length ? PREFIX + names[i] : `style-${i - names.length + 1}`);

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
  const parts = withPrefixes(new URLSearchParams(address.slice(1)), names);
  return start.map((value, i) => {
    const given = parts.get(nameOf(names, i));
    return given && Number.isFinite(Number(given)) ? Number(given) : value;
  });
}

/** Adds the prefixes to an address of an earlier version, which had none. */
function withPrefixes(parts, names) {
  if ([...parts.keys()].some((key) => key.startsWith(PREFIX))) return parts;
  const isLabel = (key) => names.includes(key) && key !== "picture" && !/^style-\d+$/.test(key);
  return new URLSearchParams([...parts].map(([key, value]) => [isLabel(key) ? PREFIX + key : key, value]));
}
