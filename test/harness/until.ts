// Waiting for a condition instead of for a time.

const pollMs = 10;

/** Resolves once `holds` is true. The deadline is no expectation about speed: it ends a hang. */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  deadlineMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await Bun.sleep(pollMs);
  }
}
