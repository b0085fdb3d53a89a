import { closest, distance } from "fastest-levenshtein";
import { z } from "zod";
import { ConfigError } from "./errors.js";

/**
 * Validates a configuration and fills in its defaults. Objects should be `z.strictObject`, so that unknown keys are refused.
 * @param where what the value is, for messages: a file name or "config"
 * @throws ConfigError listing every problem with its path, and the nearest name for an unknown key or choice
 */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, value: unknown, where: string): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => describeIssue(issue, schema, value));
  throw new ConfigError(`${where}: ${problems.join("\n")}`);
}

function describeIssue(issue: z.core.$ZodIssue, schema: z.ZodType, value: unknown): string {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(schema, path);
    return issue.keys
      .map((key) => `unknown key "${[...path, key].join(".")}", expected one of ${known.join(", ")}.${suggestion(key, known)}`)
      .join("\n");
  }
  const got = path.reduce<unknown>((at, key) => (at !== null && typeof at === "object" ? (at as Record<string, unknown>)[key] : undefined), value);
  const name = path.length > 0 ? `"${path.join(".")}"` : "the configuration";
  if (issue.code === "invalid_value") {
    const choices = issue.values.map(String);
    return `${name}: unknown value ${JSON.stringify(got)}, expected one of ${choices.join(", ")}.${typeof got === "string" ? suggestion(got, choices) : ""}`;
  }
  return `${name}: ${issue.message}, got ${got === undefined ? "nothing" : JSON.stringify(got)}.`;
}

/** `Did you mean "x"?`, or nothing where no name is near. */
export function suggestion(given: string, known: readonly string[]): string {
  if (known.length === 0) return "";
  const nearest = closest(given, [...known]);
  return distance(given, nearest) <= Math.max(2, Math.floor(given.length / 3)) ? ` Did you mean "${nearest}"?` : "";
}

/** Keys of the object schema at a path. */
function keysAt(schema: z.ZodType, path: readonly string[]): string[] {
  let at: z.ZodType | undefined = schema;
  for (const key of path) at = shapeOf(at)?.[key];
  return Object.keys(shapeOf(at) ?? {});
}

function shapeOf(schema: z.ZodType | undefined): Readonly<Record<string, z.ZodType>> | undefined {
  if (schema instanceof z.ZodObject) return schema.shape;
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodOptional || schema instanceof z.ZodPrefault) return shapeOf(schema.unwrap() as z.ZodType);
  return undefined;
}
