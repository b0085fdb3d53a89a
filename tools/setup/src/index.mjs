// Plain JavaScript with nothing but Node's own modules: this runs before anything is installed.
export { ensureAdapter } from "./adapter.mjs";
export { ensureBuilt } from "./build.mjs";
export { ensureChromium, findChromium } from "./browser.mjs";
export { ensureInstalled } from "./install.mjs";
export { applyRecordedAdapter, recordedAdapter } from "./recorded-adapter.mjs";
export { repositoryRoot } from "./paths.mjs";
