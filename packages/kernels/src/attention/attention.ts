import { attentionBackward } from "./backward.js";
import { attentionForward } from "./forward.js";

/** Fused multi-head attention: `forward` is one kernel, `backward` a sequence without atomics. */
export const attention = { forward: attentionForward, backward: attentionBackward } as const;
