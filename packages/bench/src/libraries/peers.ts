import type { BenchDevice } from "../adapter.js";
import { versionOf } from "../versions.js";
import type { PeerName } from "./import-peer.js";
import { jaxLibrary } from "./jax-js.js";
import type { Library } from "./library.js";
import { onnxLibrary } from "./onnxruntime-web.js";
import { tfjsLibrary } from "./tfjs.js";

/** Packages whose versions a report names, by peer. */
export const peerPackages: Readonly<Record<PeerName, string>> = {
  tfjs: "@tensorflow/tfjs-core",
  "jax-js": "@jax-js/jax",
  "jax-js-wasm": "@jax-js/jax",
  "onnxruntime-web": "onnxruntime-web",
};

/** Opens a peer on the device behind `navigator.gpu`. @throws PeerError that tells what to install */
export async function openPeer(name: PeerName, { device }: BenchDevice): Promise<Library> {
  const version = versionOf(peerPackages[name]) ?? "unknown";
  switch (name) {
    case "tfjs":
      return tfjsLibrary(version);
    case "jax-js":
      return jaxLibrary("webgpu", version, device.gpu);
    case "jax-js-wasm":
      return jaxLibrary("wasm", version, undefined);
    case "onnxruntime-web":
      return onnxLibrary(version, device.gpu);
  }
}
