// All that the page needs, fetched from beside it.

import { Model } from "./model.js";

/**
 * Fetches the runtime, the networks and the faces.
 *
 * @param progress told which share of the bytes is there, and how many they are.
 * @returns the model, the sprite of faces, and what page.json says.
 */
export async function load(progress) {
  const page = JSON.parse(await text("page.json"));
  let there = 0;
  const bytes = (path) => fetched(path, (count) => progress((there += count) / page.bytes, page.bytes));
  const [ort, wasmBinary, encoder, decoder, spec, sprite] = await Promise.all([
    import("./ort.js"),
    bytes("ort.wasm"),
    bytes("encoder.onnx"),
    bytes("decoder.onnx"),
    text("model.json"),
    picture("faces.png"),
  ]);
  // One thread: more would ask the server for headers that static ones do not send.
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
  const [parts, reader] = [[], (await found(path)).body.getReader()];
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
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
