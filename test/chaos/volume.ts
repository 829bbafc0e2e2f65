// A file system on a loop image that can lose its power or its room. The shutdown ioctl of ext4 and
// XFS drops what was not written to the device and refuses everything afterwards, as a cut does.

import { dlopen, ptr } from "bun:ffi";
import {
  closeSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needTool, run } from "../../bench/tools.ts";

export type FileSystem = "ext4" | "xfs";

/** What of the unsynced bytes survives. */
export type Drop =
  /** Nothing: appends, renames and sizes since the last sync are gone. */
  | "everything"
  /** The journal is flushed: files and sizes are there, their data is not. */
  | "data-only";

/** FS_IOC_SHUTDOWN = _IOR('X', 125, u32), and its flags, the same for both file systems. */
const shutdownRequest = 0x8004587d;
const dropFlags: Readonly<Record<Drop, number>> = { everything: 2, "data-only": 1 };

/** XFS takes no image below 300 MiB, and half of a small one goes to its log. */
const imageSize: Readonly<Record<FileSystem, string>> = { ext4: "512M", xfs: "1G" };

const mounted = new Set<Volume>();

process.on("exit", () => {
  for (const volume of mounted) volume.abandon();
});

/** Loop mounts and the ioctl are for root only. */
export function needRoot(): void {
  if (process.getuid?.() !== 0) {
    throw new Error("disasters of the disk need root: they mount loop images");
  }
}

export class Volume {
  readonly fileSystem: FileSystem;
  readonly #folder: string;
  readonly #image: string;
  /** Where the file system is mounted. */
  readonly path: string;

  constructor(fileSystem: FileSystem) {
    needRoot();
    this.fileSystem = fileSystem;
    this.#folder = mkdtempSync(join(tmpdir(), "pyralog-volume-"));
    this.#image = join(this.#folder, "image");
    this.path = join(this.#folder, "mount");
    mkdirSync(this.path);
    mounted.add(this);
    run(["truncate", "-s", imageSize[fileSystem], this.#image], this.#folder);
    const tool =
      fileSystem === "ext4" ? needTool("mkfs.ext4", "e2fsprogs") : needTool("mkfs.xfs", "xfsprogs");
    run([tool, "-q", this.#image], this.#folder);
    this.mount();
  }

  mount(): void {
    run(["mount", "-o", "loop", this.#image, this.path], this.#folder);
  }

  /** Every process with a file in it must have ended. */
  unmount(): void {
    run(["umount", this.path], this.#folder);
  }

  /**
   * A sync that returned before this call keeps its bytes. One that is under way may report success
   * and lose them, which no power cut can do: in a loop of 64 KiB writes, each with fdatasync, 28 of
   * 400 cuts on ext4 and 2 of 100 on XFS (Linux 6.18) ended so. It must not count as a promise.
   */
  cutPower(drop: Drop): void {
    const library = dlopen("libc.so.6", {
      ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
    });
    const descriptor = openSync(this.path, "r");
    const flag = new Uint32Array([dropFlags[drop]]);
    const result = library.symbols.ioctl(descriptor, shutdownRequest, ptr(flag));
    closeSync(descriptor);
    library.close();
    if (result !== 0) throw new Error(`${this.fileSystem} refused to shut down (needs root)`);
  }

  /** Takes every block that is free, reserved ones included, in a file of our own. */
  fill(): void {
    const library = dlopen("libc.so.6", {
      fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
    });
    const ballast = openSync(this.#ballast, "a");
    let size = fstatSync(ballast).size;
    for (let step = 64 * 2 ** 20; step >= 1024; step /= 2) {
      while (library.symbols.fallocate(ballast, 0, size, step) === 0) size += step;
    }
    closeSync(ballast);
    library.close();
  }

  free(): void {
    rmSync(this.#ballast);
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }

  /** Used part of the space, 0 to 1. */
  usedPart(): number {
    const { blocks, bfree } = statfsSync(this.path);
    return 1 - bfree / blocks;
  }

  dispose(): void {
    this.unmount();
    mounted.delete(this);
    rmSync(this.#folder, { recursive: true });
  }

  /** At exit: whatever state it is in, nothing stays mounted. */
  abandon(): void {
    mounted.delete(this);
    Bun.spawnSync(["umount", "-l", this.path], { stderr: "ignore" });
    // Removes what lies under a mount only if that mount is gone.
    Bun.spawnSync(["rmdir", this.path], { stderr: "ignore" });
    Bun.spawnSync(["rm", "-f", this.#image], { stderr: "ignore" });
    Bun.spawnSync(["rmdir", this.#folder], { stderr: "ignore" });
  }
}
