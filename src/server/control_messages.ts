// What the data thread and the control thread tell each other. Messages are small and bounded;
// committed metadata crosses as bytes in a transferred buffer.

import type { Command, Outcome } from "../core/base/commands.ts";
import type { NodeId } from "../core/base/ids.ts";
import type { Settings } from "../core/base/settings.ts";

export interface ControlStart {
  readonly kind: "start";
  /** The library that main has loaded: the same path is the same instance. */
  readonly libraryPath: string;
  /** Handle of the metadata store. */
  readonly store: number;
  readonly settings: Settings;
  /** Where the thread counts how its loop runs; null = nobody will read it. */
  readonly beats: Float64Array | null;
  readonly register: {
    readonly node: NodeId;
    readonly host: string;
    readonly port: number;
    readonly diskId: string;
    readonly starts: number;
    readonly ticket: number;
  };
}

export type ToControl =
  | ControlStart
  | { readonly kind: "propose"; readonly request: number; readonly command: Command }
  /** No more proposals; answered by `stopped` when everything appended is durable. */
  | { readonly kind: "stop" };

export type FromControl =
  /** The metadata is replayed and this node is registered: requests may come. */
  | { readonly kind: "ready" }
  | { readonly kind: "metadata"; readonly batches: Uint8Array }
  | { readonly kind: "outcome"; readonly request: number; readonly outcome: Outcome }
  | {
      readonly kind: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly event: string;
      readonly fields: Readonly<Record<string, string | number>>;
    }
  /** The metadata store failed, or its bytes cannot be read. */
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "stopped" };
