// Copies of whole machines, and what they are made of as text: for the explorer, which has to go back
// to a state and to know one again. Frozen values (messages, epochs, placements, tables) are shared.

type Bag = Record<string, unknown>;

/** Objects that nobody changes: they are copied by reference and told apart by their text. */
export type IsShared = (value: object) => boolean;

export function cloned<T>(value: T, isShared: IsShared, seen = new Map<object, object>()): T {
  if (typeof value !== "object" || value === null || isShared(value)) return value;
  const had = seen.get(value);
  if (had !== undefined) return had as T;
  if (ArrayBuffer.isView(value)) {
    const copy = (value as unknown as Float64Array).slice();
    seen.set(value, copy);
    return copy as unknown as T;
  }
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    seen.set(value, copy);
    for (const one of value) copy.push(cloned(one, isShared, seen));
    return copy as unknown as T;
  }
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    seen.set(value, copy);
    for (const [key, one] of value) copy.set(key, cloned(one, isShared, seen));
    return copy as unknown as T;
  }
  if (value instanceof Set) {
    const copy = new Set<unknown>(value);
    seen.set(value, copy);
    return copy as unknown as T;
  }
  const copy = Object.create(Object.getPrototypeOf(value) as object) as Bag;
  seen.set(value, copy);
  for (const [name, one] of Object.entries(value)) copy[name] = cloned(one, isShared, seen);
  return copy as unknown as T;
}

/** Equal for machines that behave alike; `nameOf` names what is shared. */
export function textOf(value: unknown, nameOf: (value: object) => string | null): string {
  if (typeof value !== "object" || value === null) return String(value);
  const name = nameOf(value);
  if (name !== null) return name;
  if (ArrayBuffer.isView(value)) return `[${(value as unknown as Float64Array).join()}]`;
  if (Array.isArray(value)) return `[${value.map((one) => textOf(one, nameOf)).join()}]`;
  if (value instanceof Map) {
    const entries = [...value].map(([key, one]) => `${String(key)}:${textOf(one, nameOf)}`);
    return `{${entries.sort().join()}}`;
  }
  if (value instanceof Set)
    return `(${[...value]
      .map((one) => textOf(one, nameOf))
      .sort()
      .join()})`;
  return `{${Object.values(value)
    .map((one) => textOf(one, nameOf))
    .join()}}`;
}
