import { PeerError } from "../errors.js";

/** npm packages of each peer, with the releases bench was written against. */
const packages = {
  tfjs: "@tensorflow/tfjs-core@4.22 @tensorflow/tfjs-layers@4.22 @tensorflow/tfjs-backend-webgpu@4.22",
  "jax-js": "@jax-js/jax@0.1.25",
  "jax-js-wasm": "@jax-js/jax@0.1.25",
  "onnxruntime-web": "onnxruntime-web@1.30",
} as const;

/** Names of the libraries that can be measured beside ours. */
export const peerNames = Object.keys(packages) as readonly PeerName[];
/** A library that can be measured beside ours. */
export type PeerName = keyof typeof packages;

/** Loads a package of a peer. @throws PeerError that tells what to install */
export async function importPeer<Module>(peer: PeerName, name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    const missing = cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND";
    const reason = missing ? "is not installed" : `cannot be loaded (${cause instanceof Error ? cause.message : String(cause)})`;
    throw new PeerError(`bench: peer "${peer}" needs ${name}, which ${reason}. Run: npm install --save-dev ${packages[peer]}`, { cause });
  }
}
