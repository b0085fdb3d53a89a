// One flat config for the whole repository; `eslint .` inside a package finds it here.
import nx from "@nx/eslint-plugin";
import { createProjectGraphAsync } from "@nx/devkit";
import tseslint from "typescript-eslint";

// The layer rule reads nx's cached project graph and silently skips itself when there is none,
// so make sure there is one, also when eslint is started by hand in a fresh clone.
await createProjectGraphAsync({ exitOnError: false, resetDaemonClient: true });

/** Lowest to highest. A package may import the layers before its own, never its own or a later one. */
const layers = ["layer:1", "layer:2", "layer:3", "layer:4", "layer:5", "layer:5b", "layer:6", "layer:7"];

/** @param {string[]} extra tags that every layer may import besides the layers below it */
const layerConstraints = (extra) => [
  ...layers.map((tag, index) => ({ sourceTag: tag, onlyDependOnLibsWithTags: [...layers.slice(0, index), ...extra] })),
  { sourceTag: "tool", onlyDependOnLibsWithTags: ["tool"] },
];

/** @param {string[]} extra see layerConstraints */
const moduleBoundaries = (extra) => ["error", { allow: [], depConstraints: layerConstraints(extra) }];

export default tseslint.config(
  { ignores: ["**/dist/**", "**/node_modules/**", "**/coverage/**", "runs/**", ".cache/**", ".nx/**"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts", "tools/setup/**/*.mjs"],
    extends: [...tseslint.configs.recommendedTypeChecked],
    plugins: { "@nx": nx },
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/explicit-module-boundary-types": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-console": "error",
      "max-lines": ["error", { max: 400, skipBlankLines: false, skipComments: false }],
      "@nx/enforce-module-boundaries": moduleBoundaries([]),
    },
  },
  {
    // What only tests load may use the tools.
    files: ["**/*.test.ts", "**/*.fixture.ts", "**/src/**/testing/**/*.ts"],
    rules: { "@nx/enforce-module-boundaries": moduleBoundaries(["tool"]), "no-console": "off" },
  },
  {
    // The presets are configuration, reached by path before anything is linked into node_modules.
    files: ["**/*.config.ts"],
    rules: { "@nx/enforce-module-boundaries": "off" },
  },
  {
    // Plain JavaScript states its types in JSDoc; tsc checks them (checkJs), these rules do not read them.
    files: ["**/*.mjs"],
    rules: {
      "@typescript-eslint/explicit-module-boundary-types": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
    },
  },
  { files: ["tools/**/*.ts", "tools/**/*.mjs", "packages/cli/src/**/*.ts", "examples/**/*.ts"], rules: { "no-console": "off" } },
);
