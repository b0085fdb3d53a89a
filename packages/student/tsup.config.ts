export { default } from "../../tools/build/tsup.js";
