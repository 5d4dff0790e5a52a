// A trained model in the browser, with the methods of ccvae_pyro under the same names.
//
// An image is a Float32Array of channels, rows and columns, in [0, 1]. A latent `z` is a Float32Array of z_c
// followed by z_style. Batches are lists.

export class Model {
  /**
   * @param spec the contents of model.json: labels, the style's prior, the shape of images.
   * @param encoder an ONNX session from `x` to `z_c` and `z_style`, the posterior means.
   * @param decoder an ONNX session from `z` to `x`, the mean image.
   * @param Tensor the tensor class of the runtime.
   */
  constructor(spec, encoder, decoder, Tensor) {
    Object.assign(this, { spec, encoder, decoder, Tensor });
    this.labels = spec.labels;
    this.names = spec.labels.map((label) => label.name);
    this.numStyle = spec.style.loc.length;
    this.busy = Promise.resolve();
  }

  // ---- Networks ----

  /** The posterior mean of each image. */
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

  // A session runs one batch at a time, so each batch waits for the previous one.
  #run(session, input, arrays, shape) {
    const data = new Float32Array(arrays.length * arrays[0].length);
    arrays.forEach((array, i) => data.set(array, i * array.length));
    const feed = { [input]: new this.Tensor("float32", data, [arrays.length, ...shape]) };
    const run = this.busy.then(() => session.run(feed));
    this.busy = run.catch(() => {});
    return run;
  }

  // ---- Labels of latents ----

  /** The index of a label, given by its name or its index. */
  index(label) {
    const index = typeof label === "number" ? label : this.names.indexOf(label);
    if (!(index in this.labels)) throw new RangeError(`there is no label ${label}`);
    return index;
  }

  /** q(y = 1 | z_c) of each label. */
  probabilities(z) {
    return this.labels.map(({ weight, bias }, i) => 1 / (1 + Math.exp(-(weight * z[i] + bias))));
  }

  /** Whether the predicted probability of each label is above one half. */
  predicted(z) {
    return this.labels.map(({ weight, bias }, i) => weight * z[i] + bias > 0);
  }

  /** The mean of a label's conditional prior, moved by `numStd` standard deviations away from the other mean. */
  characteristic(index, value, numStd = 0) {
    const { loc, scale } = this.labels[index];
    return loc[value] + numStd * Math.sign(loc[value] - loc[1 - value]) * scale[value];
  }

  /** The labels excluded by target labels that are true, except those that have a target themselves. */
  excluded(targets) {
    const others = [...targets].flatMap(([i, value]) => (value ? this.labels[i].excludes : []));
    return [...new Set(others.map((name) => this.index(name)))].filter((i) => !targets.has(i));
  }

  // ---- Interventions on latents ----

  /** A latent with target labels set, `{label: 0 or 1}`; labels that they exclude are set to 0. */
  edited(z, targets) {
    targets = new Map(Object.entries(targets).map(([name, value]) => [this.index(name), value]));
    const edited = this.#resolveExclusions(z, targets);
    for (const [index, value] of targets) edited[index] = this.characteristic(index, value);
    return edited;
  }

  /** A latent with the donor's characteristics of some labels, and of the labels that these exclude. */
  swapped(z, donor, labels = this.names) {
    const indices = labels.map((label) => this.index(label));
    const [own, other] = [this.predicted(z), this.predicted(donor)];
    const taken = new Set(indices);
    for (const index of indices.filter((i) => own[i] !== other[i])) {
      // Labels that are swapped anyway need not be resolved.
      const targets = new Map([...indices.map((i) => [i, 0]), [index, 1]]);
      this.excluded(targets).forEach((i) => taken.add(i));
    }
    const swapped = z.slice();
    taken.forEach((i) => (swapped[i] = donor[i]));
    return swapped;
  }

  /**
   * Latents that traverse one label or two, from two standard deviations beyond the mean without
   * the label to two beyond the mean with it. The second of two labels varies fastest.
   */
  walked(z, labels, numSteps = 9) {
    const indices = labels.map((label) => this.index(label));
    const start = this.#resolveExclusions(z, new Map(indices.map((i) => [i, 1])));
    let latents = [start];
    for (const index of indices) {
      const ends = [0, 1].map((value) => this.characteristic(index, value, 2));
      const stops = Array.from({ length: numSteps }, (_, k) => between(...ends, k, numSteps));
      latents = latents.flatMap((from) => stops.map((stop) => withValue(from, index, stop)));
    }
    return latents;
  }

  #resolveExclusions(z, targets) {
    const [predicted, cleared] = [this.predicted(z), z.slice()];
    for (const index of this.excluded(targets)) {
      if (predicted[index]) cleared[index] = this.characteristic(index, 0);
    }
    return cleared;
  }

  // ---- Interventions on images ----

  /** The predicted probability of each label. */
  async classify(images) {
    return (await this.encode(images)).map((z) => this.probabilities(z));
  }

  async reconstruct(images) {
    return this.decode(await this.encode(images));
  }

  async edit(images, targets) {
    return this.decode((await this.encode(images)).map((z) => this.edited(z, targets)));
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

/** A copy of a latent with one entry set. */
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
