// The tests of the package this is started in, then those of packages named behind: `npx nx test kernels tensor`.
// Every other argument goes to vitest, e.g. the name of a test file.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const packages = fileURLToPath(new URL("../../packages/", import.meta.url));
const vitest = path.join(path.dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const isPackage = (name) => /^[a-z-]+$/.test(name) && existsSync(path.join(packages, name, "package.json"));

const args = process.argv.slice(2);
const folders = [process.cwd(), ...args.filter(isPackage).map((name) => path.join(packages, name))];
const others = args.filter((arg) => !isPackage(arg));
const statuses = [...new Set(folders)].map((cwd) => spawnSync(process.execPath, [vitest, "run", ...others], { cwd, stdio: "inherit" }).status ?? 1);
process.exit(Math.max(...statuses));
