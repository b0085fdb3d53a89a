import preset from "../../tools/build/tsup.js";

export default { ...preset, platform: "node" as const };
