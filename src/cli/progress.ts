// A progress bar on standard error, as the only user of cli-progress. Without a terminal there is no
// bar: the caller says one line at the end.

import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  /** `words` stand behind the bar. */
  update(done: number, words: string): void;
  stop(): void;
}

const silent: Progress = { update: () => {}, stop: () => {} };

export function progress(total: number): Progress {
  if (!process.stderr.isTTY || total <= 0) return silent;
  const bar = new SingleBar(
    {
      format: "  [{bar}] {words}",
      barsize: 28,
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
      fps: 10,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0, { words: "" });
  return {
    update: (done, words) => bar.update(Math.min(done, total), { words }),
    stop: () => bar.stop(),
  };
}
