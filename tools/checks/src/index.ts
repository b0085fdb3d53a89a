export { checkCycles } from "./cycles.js";
export type { Finding } from "./finding.js";
export { checkHygiene } from "./hygiene.js";
export { checkPublished } from "./published.js";
export { checkReadmes, findExample } from "./readmes.js";
