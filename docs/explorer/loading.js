// Loads all files of the page, which are in its own folder.

import { Model } from "./model.js";

/**
 * Loads the runtime, the networks and the images.
 *
 * @param progress called with the loaded share of the bytes, and their total number.
 * @returns the model, the sprite of images, and the contents of page.json.
 */
export async function load(progress) {
  const page = JSON.parse(await text("page.json"));
  let loaded = 0;
  const bytes = (path) => fetched(path, (count) => progress((loaded += count) / page.bytes, page.bytes));
  const [ort, wasmBinary, encoder, decoder, spec, sprite] = await Promise.all([
    import("./ort.js"),
    bytes("ort.wasm"),
    bytes("encoder.onnx"),
    bytes("decoder.onnx"),
    text("model.json"),
    picture("faces.png"),
  ]);
  // More than one thread requires headers that static file servers do not send.
  Object.assign(ort.env.wasm, { wasmBinary: wasmBinary.buffer, numThreads: 1 });
  const sessions = [];
  for (const network of [encoder, decoder]) sessions.push(await session(ort, network));
  return { model: new Model(JSON.parse(spec), ...sessions, ort.Tensor), sprite, page };
}

async function session(ort, network) {
  try {
    return await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new Error(`This browser cannot run the model: WebAssembly did not start (${error.message}).`);
  }
}

async function found(path) {
  const response = await fetch(path).catch(() => null);
  if (!response?.ok) {
    const why = response ? `the server answers ${response.status}` : "no server answers";
    throw new Error(`${path} cannot be loaded: ${why}.`);
  }
  return response;
}

async function text(path) {
  return (await found(path)).text();
}

async function fetched(path, progress) {
  const [parts, stream] = [[], (await found(path)).body.getReader()];
  for (let part = await stream.read(); !part.done; part = await stream.read()) {
    parts.push(part.value);
    progress(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function picture(path) {
  const image = new Image();
  image.src = path;
  await image.decode().catch(() => {
    throw new Error(`${path} cannot be loaded.`);
  });
  return image;
}
