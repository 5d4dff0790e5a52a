// Converts images between files, canvases and arrays (Float32Array of channels, rows, columns).

/** Cuts a sprite of images side by side into images. */
export function cut(sprite, count, [channels, height, width]) {
  const context = contextOf(document.createElement("canvas"), width * count, height);
  context.drawImage(sprite, 0, 0);
  return Array.from({ length: count }, (_, i) =>
    fromPixels(context.getImageData(i * width, 0, width, height).data, channels),
  );
}

/** Draws an image at its own size; CSS scales it up. */
export function draw(canvas, image, [channels, height, width]) {
  const context = contextOf(canvas, width, height);
  const pixels = context.createImageData(width, height);
  const size = height * width;
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) {
      pixels.data[4 * i + c] = Math.round(255 * image[i + size * Math.min(c, channels - 1)]);
    }
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

/** Draws an image eight times as large, with smooth interpolation. */
export function drawLarge(canvas, image, shape) {
  const small = document.createElement("canvas");
  draw(small, image, shape);
  const context = contextOf(canvas, 8 * small.width, 8 * small.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

/** The absolute difference of each pixel, averaged over channels. */
export function difference(image, other, [channels, height, width]) {
  const size = height * width;
  return Float32Array.from({ length: size }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += Math.abs(image[i + c * size] - other[i + c * size]);
    return sum / channels;
  });
}

/**
 * Draws the difference over a faint copy of the image.
 *
 * @param colors red, green and blue of the dark and the light end of the faint copy, and of a difference.
 */
export function drawDifference(canvas, changed, image, [channels, height, width], colors) {
  const context = contextOf(canvas, width, height);
  const pixels = context.createImageData(width, height);
  const size = height * width;
  for (let i = 0; i < size; i++) {
    let grey = 0;
    for (let c = 0; c < channels; c++) grey += image[i + c * size] / channels;
    const strength = Math.min(1, 2.5 * changed[i]); // a difference of 0.4 is full color
    for (let c = 0; c < 3; c++) {
      const faint = colors.shade[c] + grey * (colors.light[c] - colors.shade[c]);
      pixels.data[4 * i + c] = faint + strength * (colors.change[c] - faint);
    }
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

/**
 * Reads an image file as ccvae_pyro.data.read_image does: upright, over white, as the model was trained.
 *
 * @param preprocessing the rule for images that are not square, "squash" (if null), "crop" or "pad", and the side of a
 *     square to crop first, if any.
 */
export async function readFile(file, [channels, height, width], preprocessing) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name} is not an image that this browser can read.`);
  }
  const { resize, crop } = preprocessing ?? { resize: "squash", crop: null };
  if (crop > Math.min(bitmap.width, bitmap.height)) {
    throw new Error(`${file.name} is smaller than ${crop} pixels, the square that the model takes from an image.`);
  }
  const shorter = resize === "crop" ? Math.min(bitmap.width, bitmap.height) : null;
  const [across, down] = [crop ?? shorter ?? bitmap.width, crop ?? shorter ?? bitmap.height];
  const [left, top] = [(bitmap.width - across) / 2, (bitmap.height - down) / 2].map(Math.floor);
  const [wide, high] = [across, down].map((length) => Math.min(length, 1024)); // a limit for large photographs
  const context = contextOf(document.createElement("canvas"), wide, high);
  context.fillStyle = "white";
  context.fillRect(0, 0, wide, high);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, left, top, across, down, 0, 0, wide, high);
  const image = fromPixels(context.getImageData(0, 0, wide, high).data, channels);
  if (resize !== "pad") return resized(image, channels, high, wide, height, width);
  const longer = Math.max(across, down);
  const [rows, columns] = [(height * down) / longer, (width * across) / longer].map((n) => Math.max(1, Math.round(n)));
  return padded(resized(image, channels, high, wide, rows, columns), channels, rows, columns, height, width);
}

/** An image in the middle of white margins. */
function padded(image, channels, rows, columns, height, width) {
  const out = new Float32Array(channels * height * width).fill(1);
  const [top, left] = [(height - rows) / 2, (width - columns) / 2].map(roundHalfToEven);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < rows; y++) {
      const row = image.subarray((c * rows + y) * columns, (c * rows + y + 1) * columns);
      out.set(row, (c * height + top + y) * width + left);
    }
  }
  return out;
}

/** Rounds a half as Python does. */
function roundHalfToEven(number) {
  return number % 1 === 0.5 ? 2 * Math.round(number / 2) : Math.round(number);
}

/** Bilinear resizing with antialiasing, as in Pillow. */
function resized(image, channels, high, wide, height, width) {
  const [across, down] = [weights(wide, width), weights(high, height)];
  const out = new Float32Array(channels * height * width);
  const row = new Float32Array(high * width);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < high; y++) {
      across.forEach((taps, x) => {
        let sum = 0;
        for (const [i, weight] of taps) sum += weight * image[(c * high + y) * wide + i];
        row[y * width + x] = sum;
      });
    }
    down.forEach((taps, y) => {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (const [i, weight] of taps) sum += weight * row[i * width + x];
        out[(c * height + y) * width + x] = sum;
      }
    });
  }
  return out;
}

/** For each of `size` pixels, the weights of the `from` source pixels. */
function weights(from, size) {
  const scale = from / size;
  const reach = Math.max(1, scale);
  return Array.from({ length: size }, (_, k) => {
    const center = (k + 0.5) * scale;
    const first = Math.max(0, Math.round(center - reach));
    const last = Math.min(from, Math.round(center + reach));
    const taps = [];
    for (let i = first; i < last; i++) {
      taps.push([i, Math.max(0, 1 - Math.abs(i + 0.5 - center) / reach)]);
    }
    const total = taps.reduce((sum, [, weight]) => sum + weight, 0);
    return taps.map(([i, weight]) => [i, weight / total]);
  });
}

function fromPixels(data, channels) {
  const size = data.length / 4;
  const image = new Float32Array(channels * size);
  for (let i = 0; i < size; i++) {
    const at = 4 * i;
    if (channels === 3) {
      for (let c = 0; c < 3; c++) image[i + c * size] = data[at + c] / 255;
    } else {
      const grey = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
      image[i] = Math.round(grey) / 255; // as Pillow's "L"
    }
  }
  return image;
}

function contextOf(canvas, width, height) {
  Object.assign(canvas, { width, height });
  return canvas.getContext("2d", { willReadFrequently: true });
}
