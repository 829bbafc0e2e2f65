// What the assignor of a consumer group gave to a member (ConsumerProtocolAssignment, v0-3): version
// int16, then per topic a string and an array of partitions, then bytes of the assignor's own.

export interface AssignedPartition {
  readonly topic: string;
  readonly partition: number;
}

const decoder = new TextDecoder();

/** The bytes are another program's and promise nothing: malformed ones are shown as no assignment. */
export function assignmentOf(bytes: Uint8Array): readonly AssignedPartition[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: AssignedPartition[] = [];
  let at = 2;
  try {
    const topics = view.getInt32(at);
    at += 4;
    for (let i = 0; i < topics; i += 1) {
      const length = view.getInt16(at);
      const topic = decoder.decode(bytes.subarray(at + 2, at + 2 + length));
      at += 2 + length;
      const count = view.getInt32(at);
      at += 4;
      for (let j = 0; j < count; j += 1, at += 4)
        found.push({ topic, partition: view.getInt32(at) });
    }
    return found;
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}
