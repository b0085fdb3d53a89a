export { default } from "../../tools/build/vitest.js";
