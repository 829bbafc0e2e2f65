// Damage to the bytes of a message, chosen by numbers, so that a run can be repeated.

/** What a length or count is blown up to: values around every edge of the formats. */
const edges: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0x00, 0x00, 0x00],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0x1f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x80, 0x00],
  [0xff, 0x01],
  [0x00],
  [0x01],
  [0x02],
  [0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xc3, 0x28],
  [0x01, 0x63, 0x00],
  [0x02, 0x09, 0x00, 0x08, 0x00],
  [0x02, 0x63, 0x01, 0x00, 0x64, 0x00],
];

/** Applies one change per pair of numbers: flip, overwrite by an edge, cut, insert, delete, repeat. */
export function mutate(source: Uint8Array, dice: readonly number[]): Uint8Array {
  let bytes = [...source];
  for (let i = 0; i + 1 < dice.length; i += 2) {
    const where = dice[i] ?? 0;
    const what = dice[i + 1] ?? 0;
    const at = bytes.length === 0 ? 0 : where % bytes.length;
    const edge = edges[(what >> 3) % edges.length] ?? [];
    switch (what % 7) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << ((what >> 3) % 8));
        break;
      case 1:
        bytes.splice(at, edge.length, ...edge);
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes.splice(at, 0, ...edge);
        break;
      case 4:
        bytes.splice(at, 1 + ((what >> 3) % 4));
        break;
      case 5:
        bytes[at] = (what >> 3) & 0xff;
        break;
      default:
        bytes = [...bytes.slice(0, at), ...bytes.slice(at >> 1)];
    }
  }
  return Uint8Array.from(bytes);
}
