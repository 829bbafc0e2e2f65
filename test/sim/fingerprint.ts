// One number for a whole run: every input that a node stepped, and all that it answered and appended,
// in order. Two runs that differ anywhere differ here.

/** FNV-1a over the UTF-16 units of JSON (32 bits). */
export class Fingerprint {
  #hash = 0x811c9dc5;

  get value(): number {
    return this.#hash >>> 0;
  }

  add(kind: string, what: unknown): void {
    const text = kind + JSON.stringify(what, shown);
    for (let i = 0; i < text.length; i += 1)
      this.#hash = Math.imul(this.#hash ^ text.charCodeAt(i), 0x01000193);
  }
}

/** Bytes and facts count with their length: records were counted when they were sent. */
function shown(_key: string, value: unknown): unknown {
  return ArrayBuffer.isView(value) ? value.byteLength : value;
}
