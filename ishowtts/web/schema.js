// What openapi.json says of a value, in words. Numbers are as the file writes them, also those beyond 2^53.

import { t } from "./i18n.js";

/** JSON with whole numbers beyond 2^53 as BigInt. @param {string} text */
export const parseExact = (text) =>
  JSON.parse(text, (_, value, context) =>
    Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "")
      ? BigInt(context.source)
      : value,
  );

/** JSON of what parseExact gave. @param {number} [indent] */
export const writeExact = (value, indent) =>
  JSON.stringify(
    value,
    (_, part) => (typeof part === "bigint" ? (JSON.rawJSON?.(String(part)) ?? String(part)) : part),
    indent,
  );

/** Reads one description. @param {Object} contract openapi.json */
export class Schemas {
  constructor(contract) {
    this.contract = contract;
  }

  /** Follows $ref inside the document. */
  resolved(node) {
    return node?.$ref
      ? this.resolved(
          node.$ref
            .slice(2)
            .split("/")
            .reduce((at, key) => at[key], this.contract),
        )
      : (node ?? {});
  }

  /** The schemas of which a value is one, without null. */
  arms(schema) {
    const s = this.resolved(schema);
    return (s.anyOf ?? s.oneOf ?? [s]).filter((arm) => this.resolved(arm).type !== "null");
  }

  /** What a value may be, such as "integer, 1 to 64". */
  kind(schema) {
    const s = this.resolved(schema);
    const arms = this.arms(s);
    if (s.anyOf ?? s.oneOf) return arms.map((arm) => this.kind(arm)).join(t(" or "));
    if (s.enum) return s.enum.map((value) => writeExact(value)).join(", ");
    if (s.const !== undefined) return writeExact(s.const);
    if (s.type === "array")
      return [t("list of {what}", { what: this.kind(s.items) }), span(s.minItems, s.maxItems, t("items"))]
        .filter(Boolean)
        .join(", ");
    if (s.type === "string")
      return [
        s.format === "binary" ? t("file") : t("string"),
        span(s.minLength, s.maxLength, t("characters")),
        s.pattern && t("pattern {it}", { it: s.pattern }),
      ]
        .filter(Boolean)
        .join(", ");
    const names = { integer: t("integer"), number: t("number"), boolean: t("true or false"), object: t("object") };
    return [names[s.type] ?? t("object"), range(s)].filter(Boolean).join(", ");
  }

  /** @returns {[string, Object, boolean][]} name, schema, whether it is required */
  properties(schema) {
    const s = this.resolved(schema);
    return Object.entries(s.properties ?? {}).map(([name, value]) => [name, value, (s.required ?? []).includes(name)]);
  }
}

function span(low, high, unit) {
  if (low !== undefined && high !== undefined) return t("{low} to {high} {unit}", { low, high, unit });
  if (high !== undefined) return t("up to {high} {unit}", { high, unit });
  return low ? t("at least {low} {unit}", { low, unit }) : "";
}

function range({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }) {
  if (minimum !== undefined && maximum !== undefined) return t("{low} to {high}", { low: minimum, high: maximum });
  const limits = [
    ["≥", minimum],
    [">", exclusiveMinimum],
    ["≤", maximum],
    ["<", exclusiveMaximum],
  ];
  return limits
    .filter(([, value]) => value !== undefined)
    .map(([sign, value]) => `${sign} ${value}`)
    .join(", ");
}
