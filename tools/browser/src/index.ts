export { openPage } from "./page.js";
export type { Page, PageOptions } from "./page.js";
