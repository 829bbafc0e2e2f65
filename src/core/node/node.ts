// The unit that a thread runs and the simulator replays: pure machines wired into one step per
// thread. The data thread runs DataNode, the control thread ControlNode.
//
// A step runs to completion, takes time and randomness from its inputs, and speaks through effects
// only. Effects that must not be seen before something is durable are emitted by the step that
// learns of it (`appended`), never earlier.

export { type ControlEffects, ControlNode } from "./control.ts";
export { DataNode } from "./data.ts";
