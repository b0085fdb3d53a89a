/** The process in which ours and one peer are measured: told what to do by its parent, it answers with events. */
import { tuningOf, type TuningTable, withTuning } from "@distilldrive/tensor";
import { openBenchDevice } from "./adapter.js";
import { type ContestEvent, holdContest } from "./contest.js";
import { distilldriveLibrary } from "./libraries/distilldrive.js";
import type { PeerName } from "./libraries/import-peer.js";
import { openPeer } from "./libraries/peers.js";
import type { MeasureOptions } from "./measure.js";
import { measurables, type PlanOptions } from "./plan.js";
import { openReferenceStore } from "./reference-store.js";
import { ownVersion } from "./versions.js";

/** What a parent tells its worker. */
export interface WorkerTask {
  readonly peer: PeerName;
  readonly plan: PlanOptions;
  readonly measure: MeasureOptions;
  /** Folder of the references the processes of a run share. */
  readonly references: string;
  /** Choices among our kernels; without it the rules choose. */
  readonly tuning?: TuningTable;
}

/** What a worker tells its parent. */
export type WorkerEvent = ContestEvent | { readonly kind: "opened"; readonly remark: string } | { readonly kind: "broken"; readonly message: string; readonly peer: boolean };

const tell = (event: WorkerEvent): Promise<void> => new Promise((resolve) => process.send?.(event, undefined, undefined, () => resolve()));

process.once("message", (task: WorkerTask) => {
  void work(task)
    .catch((cause: unknown) => tell({ kind: "broken", message: cause instanceof Error ? cause.message : String(cause), peer: cause instanceof Error && cause.name === "PeerError" }))
    // Threads of WebGPU and of the peers would keep the process alive.
    .then(() => process.exit(0));
});

async function work({ peer, plan, measure, references, tuning }: WorkerTask): Promise<void> {
  const opened = await openBenchDevice();
  const own = distilldriveLibrary(tuning ? withTuning(opened.device, tuningOf(tuning)) : opened.device, ownVersion());
  const library = await openPeer(peer, opened);
  await tell({ kind: "opened", remark: library.remark ?? "" });
  const rows = await measurables(plan, own);
  await holdContest(rows, [own, library], { ...measure, references: openReferenceStore(references) }, (event) => void tell(event));
}
