#!/usr/bin/env node
// Committed as it is, so that npm can link it before anything is built. In the clone it first builds what is
// older than its sources (set DISTILLDRIVE_NO_BUILD=1 to run what is there); installed from npm it just starts.
import { existsSync } from "node:fs";

const setup = new URL("../../../tools/setup/src/index.mjs", import.meta.url);
const installed = new URL("../../../node_modules/.package-lock.json", import.meta.url);
const built = new URL("../dist/index.js", import.meta.url);

try {
  if (existsSync(setup) && process.env.DISTILLDRIVE_NO_BUILD !== "1") {
    const { applyRecordedAdapter, ensureBuilt, ensureInstalled } = await import(setup.href);
    if (!existsSync(installed)) ensureInstalled();
    await ensureBuilt();
    applyRecordedAdapter();
  }
  if (!existsSync(built)) {
    throw Object.assign(new Error('distilldrive: not built. Run "npm run build" in the clone.'), { userFacing: true });
  }
  const { main } = await import(built.href);
  const status = await main(process.argv.slice(2));
  // WebGPU threads would keep the process alive; leave once everything is written.
  process.stdout.write("", () => process.stderr.write("", () => process.exit(status)));
} catch (error) {
  process.stderr.write(`${error?.userFacing === true ? error.message : (error?.stack ?? error)}\n`);
  process.exitCode = 1;
}
