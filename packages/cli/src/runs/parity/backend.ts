import { compile, createStore, type Device, type Graph, initialValues, interpret, type NamedVariables, openDevice, sizeOf, type Variable } from "@distilldrive/tensor";

/** Where a graph runs: kernels on the adapter, or float64 references. */
export type BackendName = "gpu" | "reference";

/** A graph that is ready to run, with values of its variables. */
export interface Session {
  /** Runs once; assigned variables keep their new values for the next step. Inputs the graph does not have are ignored. */
  readonly step: (inputs: Readonly<Record<string, ArrayLike<number>>>) => Promise<ReadonlyMap<string, ArrayLike<number>>>;
  /** Present values of variables. */
  readonly valueOf: (name: string) => Promise<ArrayLike<number>>;
  readonly close: () => void;
}

/** Runs graphs. */
export interface Backend {
  readonly name: BackendName;
  /** What runs them, for people. */
  readonly description: string;
  /** @param values of variables by name; the others begin with their first values */
  readonly open: (graph: Graph, variables: NamedVariables, values: ReadonlyMap<string, ArrayLike<number>>) => Promise<Session>;
  readonly close: () => void;
}

/** Opens a backend. */
export async function openBackend(name: BackendName): Promise<Backend> {
  return name === "gpu" ? gpuBackend(await openDevice()) : referenceBackend();
}

/** Interprets graphs op by op in float64. */
export function referenceBackend(): Backend {
  return {
    name: "reference",
    description: "float64 reference",
    open: (graph, variables, values) => {
      const current = new Map<Variable, ArrayLike<number>>();
      for (const [name, variable] of variables) current.set(variable, values.get(name) ?? initialValues(variable.init, sizeOf(variable.shape), 1, name));
      return Promise.resolve({
        step: (inputs) => {
          const { outputs, assigned } = interpret(graph, { inputs, variables: current });
          for (const [variable, value] of assigned) current.set(variable, value);
          return Promise.resolve(outputs);
        },
        valueOf: (name) => {
          const variable = variables.get(name);
          return Promise.resolve((variable && current.get(variable)) ?? []);
        },
        close: () => undefined,
      });
    },
    close: () => undefined,
  };
}

/** Runs graphs as programs on a device, which it closes in the end. */
export function gpuBackend(device: Device): Backend {
  return {
    name: "gpu",
    description: device.description,
    open: async (graph, variables, values) => {
      const store = createStore(device, variables, { seed: 1 });
      store.load(new Map([...variables].flatMap(([name, { shape }]) => {
        const data = values.get(name);
        return data ? [[name, { shape, dtype: "f32" as const, data: Float32Array.from(data) }] as const] : [];
      })));
      const program = await compile(device, graph, { store });
      const used = new Set(program.plan.inputs.map(({ name }) => name));
      return {
        step: async (inputs) => {
          program.run(Object.fromEntries(Object.entries(inputs).filter(([name]) => used.has(name))));
          return program.readAll([...graph.outputs.keys()]);
        },
        valueOf: async (name) => (await store.snapshot([name])).get(name)?.data ?? [],
        close: () => {
          program.destroy();
          store.destroy();
        },
      };
    },
    close: () => {
      device.close();
    },
  };
}
