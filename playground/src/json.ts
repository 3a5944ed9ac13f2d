// JSON that people type.

/** The error of a text that must be JSON or empty. An empty string if there is none. */
export function jsonProblem(text: string): string {
  if (text.trim() === "") {
    return "";
  }
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return error instanceof Error ? `Not JSON: ${error.message}` : "Not JSON";
  }
}

/** Formats a text if it is JSON. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Bedrock's JSON results are objects; everything else is text. */
export function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
