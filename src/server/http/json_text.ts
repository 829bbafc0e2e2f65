// Where the parts of a JSON text lie, found without printing anything again: a value is stored as
// the bytes that the client wrote. The scan is lax and bounded; JSON.parse judges the text.

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

const decoder = new TextDecoder();

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

const encoder = new TextEncoder();

/** A name that is looked for, and its bytes. */
export interface Known {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export function known(names: readonly string[]): readonly Known[] {
  return names.map((name) => ({ name, bytes: encoder.encode(name) }));
}

export class JsonScan {
  readonly #known: readonly Known[];
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;
  /** Levels of nesting met so far, the outermost object or list among them. */
  depth = 0;
  #level = 0;
  #position = 0;

  /** Of these names no text is made again. */
  constructor(names: readonly Known[] = []) {
    this.#known = names;
  }

  reset(bytes: Uint8Array, start = 0, end = bytes.byteLength): this {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    this.#level = 0;
    this.depth = 0;
    return this;
  }

  /**
   * The members of the object here; of two with the same name the later one counts, as in
   * JSON.parse. False: the text is no object, or malformed.
   */
  members(visit: (name: string, start: number, end: number) => void): boolean {
    if (!this.#take(openBrace)) return false;
    this.#enter();
    if (this.#take(closeBrace)) return true;
    do {
      this.#space();
      const nameStart = this.#position;
      if (this.#bytes[nameStart] !== quote) return false;
      this.#string();
      const name = this.#nameOf(nameStart, this.#position);
      if (!this.#take(colon)) return false;
      this.#space();
      const start = this.#position;
      this.#value();
      if (this.#position === start) return false;
      visit(name, start, this.#position);
    } while (this.#take(comma));
    return this.#take(closeBrace);
  }

  /** The elements of the list here. False: the text is no list, or malformed. */
  elements(visit: (start: number, end: number) => void): boolean {
    if (!this.#take(openBracket)) return false;
    this.#enter();
    if (this.#take(closeBracket)) return true;
    do {
      this.#space();
      const start = this.#position;
      this.#value();
      if (this.#position === start) return false;
      visit(start, this.#position);
    } while (this.#take(comma));
    return this.#take(closeBracket);
  }

  /** Passes over one value, whatever it is; tells the nesting of all of it. */
  nesting(): number {
    this.#space();
    this.#value();
    return this.depth;
  }

  #is(name: Uint8Array, start: number, end: number): boolean {
    if (end - start !== name.byteLength) return false;
    for (let i = 0; i < name.byteLength; i += 1) {
      if (this.#bytes[start + i] !== name[i]) return false;
    }
    return true;
  }

  #enter(): void {
    this.#level += 1;
    if (this.#level > this.depth) this.depth = this.#level;
  }

  #space(): void {
    while (this.#position < this.#end && isSpace(this.#bytes[this.#position])) this.#position += 1;
  }

  #take(byte: number): boolean {
    this.#space();
    if (this.#position >= this.#end || this.#bytes[this.#position] !== byte) return false;
    this.#position += 1;
    return true;
  }

  #string(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.#position + 1;
    for (; at < end; at += 1) {
      const byte = bytes[at];
      if (byte === quote) break;
      if (byte === backslash) at += 1;
    }
    this.#position = Math.min(at + 1, end);
  }

  #value(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    const outside = this.#level;
    while (this.#position < end) {
      const byte = bytes[this.#position];
      if (byte === quote) {
        this.#string();
      } else if (byte === openBrace || byte === openBracket) {
        this.#enter();
        this.#position += 1;
      } else if (byte === closeBrace || byte === closeBracket) {
        if (this.#level === outside) return;
        this.#level -= 1;
        this.#position += 1;
      } else if (this.#level === outside && (byte === comma || isSpace(byte))) {
        return;
      } else {
        this.#position += 1;
        continue;
      }
      if (this.#level === outside) return;
    }
  }

  #nameOf(start: number, end: number): string {
    for (const { name, bytes } of this.#known) if (this.#is(bytes, start + 1, end - 1)) return name;
    const text = decoder.decode(this.#bytes.subarray(start, end));
    if (!text.includes("\\")) return text.slice(1, -1);
    try {
      const name: unknown = JSON.parse(text);
      return typeof name === "string" ? name : text;
    } catch {
      return text;
    }
  }
}
