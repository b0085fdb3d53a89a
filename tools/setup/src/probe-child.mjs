// Started as a process of its own by probe.mjs: a driver that crashes takes only this one down.
import { join } from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { repositoryRoot } from "./paths.mjs";

const require = createRequire(join(repositoryRoot, "packages", "tensor", "package.json"));
/** @type {{ create: (options: string[]) => GPU }} */
const { create } = await import(pathToFileURL(require.resolve("webgpu")).href);
const adapter = await create([]).requestAdapter();
if (adapter === null) {
  console.log(JSON.stringify({ adapter: null }));
} else {
  const device = await adapter.requestDevice();
  const { vendor, architecture, description } = adapter.info;
  console.log(JSON.stringify({ adapter: { vendor, architecture, description } }));
  device.destroy();
}
process.exit(0);
