// Text of a function while the compiler writes it: lines with their indent, and names for locals.

export class Source {
  readonly #lines: string[] = [];
  #depth = 1;
  #names = 0;

  line(text: string): void {
    this.#lines.push("  ".repeat(this.#depth) + text);
  }

  open(text: string): void {
    this.line(text);
    this.#depth += 1;
  }

  /** Ends a block and begins its sibling, or ends it for good. */
  close(text = "}"): void {
    this.#depth -= 1;
    this.line(text);
    if (text.endsWith("{")) this.#depth += 1;
  }

  /** A local's name that no other local of the function has. */
  local(word: string): string {
    this.#names += 1;
    return `${word}${this.#names}`;
  }

  text(): string {
    return this.#lines.join("\n");
  }
}
