// What `npm test`, `npm run demo`, `npm run check` and `npm run setup` start: a fresh clone needs nothing before it.
import { runTarget } from "./src/targets.mjs";

const status = await runTarget(process.argv[2] ?? "", process.argv.slice(3));
// WebGPU threads of the demo would keep the process alive; leave once everything is written.
process.stdout.write("", () => process.stderr.write("", () => process.exit(status)));
