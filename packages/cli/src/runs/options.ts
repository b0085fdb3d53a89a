import { InvalidArgumentError } from "commander";

/** Parser of a whole-number option. @param least smallest allowed */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < least) throw new InvalidArgumentError(`Expected a whole number, ${least} or more.`);
    return value;
  };
}

/** Parser of a positive-number option. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError("Expected a positive number.");
  return value;
}

/** Parser of a list of names: `0655,1094`. */
export function nameList(text: string): string[] {
  const names = text.split(",").map((name) => name.trim()).filter((name) => name !== "");
  if (names.length === 0) throw new InvalidArgumentError("Expected names, separated by commas.");
  return names;
}

/** Parser of an image size: `400x225`. */
export function imageSize(text: string): { width: number; height: number } {
  const [, width, height] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  if (width === undefined || height === undefined || Number(width) === 0 || Number(height) === 0) throw new InvalidArgumentError("Expected <width>x<height> in pixels, e.g. 400x225.");
  return { width: Number(width), height: Number(height) };
}
