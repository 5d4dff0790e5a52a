// The model in a browser: what ccvae_pyro does with a trained one, under the same names.
//
// An image is a Float32Array of channels, rows, columns, in [0, 1]; a latent `z` is one of z_c,
// then z_style. Whatever takes or gives several of them takes or gives a list.

export class Model {
  /**
   * @param spec what model.json says: labels, the style's prior, the shape of images.
   * @param encoder an ONNX session from `x` to `z_c` and `z_style`, the posterior's means.
   * @param decoder an ONNX session from `z` to `x`, the mean image.
   * @param Tensor the runtime's tensor.
   */
  constructor(spec, encoder, decoder, Tensor) {
    Object.assign(this, { spec, encoder, decoder, Tensor });
    this.labels = spec.labels;
    this.names = spec.labels.map((label) => label.name);
    this.numStyle = spec.style.loc.length;
    this.busy = Promise.resolve();
  }

  // ---- Networks ----

  /** The means of the posterior: a latent for each image. */
  async encode(images) {
    const { z_c, z_style } = await this.#run(this.encoder, "x", images, this.spec.image);
    const parts = [rows(z_c, images.length), rows(z_style, images.length)];
    return images.map((_, i) => Float32Array.of(...parts[0][i], ...parts[1][i]));
  }

  /** The mean image of each latent. */
  async decode(latents) {
    const { x } = await this.#run(this.decoder, "z", latents, [latents[0].length]);
    return rows(x, latents.length);
  }

  // A session runs one batch at a time, so that each waits for the one before.
  #run(session, input, arrays, shape) {
    const data = new Float32Array(arrays.length * arrays[0].length);
    arrays.forEach((array, i) => data.set(array, i * array.length));
    const feed = { [input]: new this.Tensor("float32", data, [arrays.length, ...shape]) };
    const run = this.busy.then(() => session.run(feed));
    this.busy = run.catch(() => {});
    return run;
  }

  // ---- Labels of latents ----

  /** The number of a label that is given by its name or its number. */
  index(label) {
    const index = typeof label === "number" ? label : this.names.indexOf(label);
    if (!(index in this.labels)) throw new RangeError(`there is no label ${label}`);
    return index;
  }

  /** q(y = 1 | z_c) of each label. */
  probabilities(z) {
    return this.labels.map(({ weight, bias }, i) => 1 / (1 + Math.exp(-(weight * z[i] + bias))));
  }

  /** Whether each label is likelier true than false. */
  held(z) {
    return this.labels.map(({ weight, bias }, i) => weight * z[i] + bias > 0);
  }

  /** The mean of a label's conditional prior, or so many deviations beyond, away from the other. */
  characteristic(index, value, deviations = 0) {
    const { loc, scale } = this.labels[index];
    return loc[value] + deviations * Math.sign(loc[value] - loc[1 - value]) * scale[value];
  }

  /** The labels that are never true beside those that are ordered to be, and have no order. */
  excluded(orders) {
    const others = [...orders].flatMap(([i, value]) => (value ? this.labels[i].excludes : []));
    return [...new Set(others.map((name) => this.index(name)))].filter((i) => !orders.has(i));
  }

  // ---- Interventions on latents ----

  /** A latent with labels set, `{label: 0 or 1}`; what they exclude is taken away. */
  edited(z, orders) {
    orders = new Map(Object.entries(orders).map(([name, value]) => [this.index(name), value]));
    const edited = this.#makeWay(z, orders);
    for (const [index, value] of orders) edited[index] = this.characteristic(index, value);
    return edited;
  }

  /** A latent with the donor's characteristics of some labels, and of those that go with them. */
  swapped(z, donor, labels = this.names) {
    const indices = labels.map((label) => this.index(label));
    const [mine, others] = [this.held(z), this.held(donor)];
    const taken = new Set(indices);
    for (const index of indices.filter((i) => mine[i] !== others[i])) {
      // What is swapped itself need not go along.
      const orders = new Map([...indices.map((i) => [i, 0]), [index, 1]]);
      this.excluded(orders).forEach((i) => taken.add(i));
    }
    const swapped = z.slice();
    taken.forEach((i) => (swapped[i] = donor[i]));
    return swapped;
  }

  /**
   * Latents along the way of one label, or of two: from two deviations beyond the mean without
   * it to two beyond with it. Of two labels, the second moves first.
   */
  walked(z, labels, numSteps = 9) {
    const indices = labels.map((label) => this.index(label));
    const start = this.#makeWay(z, new Map(indices.map((i) => [i, 1])));
    let latents = [start];
    for (const index of indices) {
      const ends = [0, 1].map((value) => this.characteristic(index, value, 2));
      const stops = Array.from({ length: numSteps }, (_, k) => between(...ends, k, numSteps));
      latents = latents.flatMap((from) => stops.map((stop) => withValue(from, index, stop)));
    }
    return latents;
  }

  #makeWay(z, orders) {
    const [held, cleared] = [this.held(z), z.slice()];
    for (const index of this.excluded(orders)) {
      if (held[index]) cleared[index] = this.characteristic(index, 0);
    }
    return cleared;
  }

  // ---- Interventions on images ----

  /** What the model reads off images: the probability of each label. */
  async classify(images) {
    return (await this.encode(images)).map((z) => this.probabilities(z));
  }

  async reconstruct(images) {
    return this.decode(await this.encode(images));
  }

  async edit(images, orders) {
    return this.decode((await this.encode(images)).map((z) => this.edited(z, orders)));
  }

  async swap(images, donors, labels) {
    const [latents, others] = [await this.encode(images), await this.encode(donors)];
    return this.decode(latents.map((z, i) => this.swapped(z, others[i], labels)));
  }

  async walk(image, labels, numSteps) {
    const [z] = await this.encode([image]);
    return this.decode(this.walked(z, labels, numSteps));
  }
}

/** A latent with one of its entries set. */
export function withValue(z, index, value) {
  const changed = z.slice();
  changed[index] = value;
  return changed;
}

function between(start, end, step, numSteps) {
  return start + ((end - start) * step) / Math.max(1, numSteps - 1);
}

function rows(tensor, count) {
  const size = tensor.data.length / count;
  return Array.from({ length: count }, (_, i) => tensor.data.slice(i * size, (i + 1) * size));
}
