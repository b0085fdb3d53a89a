// What `npm test`, `npm run demo`, `npm run check` and `npm run setup` start: a fresh clone needs nothing before it.
import { runTarget } from "./src/targets.mjs";

process.exitCode = await runTarget(process.argv[2] ?? "", process.argv.slice(3));
