import { describe, expect, test } from "vitest";
import { GraphError } from "../errors.js";
import { Graph, type Node, Tensor } from "../graph.js";
import { defineOp } from "../op.js";
import { add } from "../ops/elementwise.js";
import { typeOf } from "../shape.js";
import { parameter } from "../variable.js";
import { verify } from "./verify.js";

/** A node put together by hand, as a wrong transform would. */
function forge(graph: Graph, template: Node, change: Partial<Node>): Node {
  const outputs: Tensor[] = [];
  const node: Node = { ...template, id: graph.nodes.length, outputs, ...change };
  outputs.push(new Tensor(graph, node, 0, typeOf([3])));
  graph.nodes.push(node);
  return node;
}

describe("the verifier", () => {
  const base = (): { graph: Graph; sum: Tensor } => {
    const graph = new Graph();
    const sum = add(graph.input("x", [2]), graph.input("y", [2]));
    return { graph, sum };
  };

  test("accepts what tracing builds", () => {
    const { graph, sum } = base();
    graph.output("sum", sum);
    graph.assign(parameter([2], { kind: "constant", value: 0 }), sum);
    expect(() => {
      verify(graph, "trace");
    }).not.toThrow();
  });

  test("names transform and node when an input comes from elsewhere", () => {
    const { graph } = base();
    forge(graph, base().sum.node, {});
    expect(() => {
      verify(graph, "someTransform");
    }).toThrow(/^someTransform: %0 is used before it is computed in %3 = add\(%0, %1\)/);
  });

  test("names transform and node when a stored type is not the op's", () => {
    const { graph, sum } = base();
    forge(graph, sum.node, {});
    expect(() => {
      verify(graph, "someTransform");
    }).toThrow("someTransform: output 0 has the wrong type, expected f32[2], got f32[3] in %3 = add(%0, %1) : f32[3]");
  });

  test("names transform and node when the op refuses its inputs", () => {
    const { graph, sum } = base();
    forge(graph, sum.node, { inputs: [graph.input("x", [2]), graph.input("z", [5])] });
    expect(() => {
      verify(graph, "someTransform");
    }).toThrow(/^someTransform: the op refuses its inputs \(add: shapes do not broadcast/);
  });

  test("refuses a node out of place and an output count that differs", () => {
    const moved = base();
    forge(moved.graph, moved.sum.node, { id: 7 });
    expect(() => {
      verify(moved.graph, "someTransform");
    }).toThrow("node is out of place, expected id 3, got 7");
    const { graph, sum } = base();
    const op = sum.node.op;
    if (!op) throw new Error("add has an op");
    forge(graph, sum.node, { op: defineOp({ ...op, shape: () => [] }) });
    expect(() => {
      verify(graph, "someTransform");
    }).toThrow("wrong number of outputs, expected 0, got 1");
  });

  test("refuses outputs and assignments that are not of the graph", () => {
    const outputs = base();
    outputs.graph.outputs.set("y", base().sum);
    expect(() => {
      verify(outputs.graph, "someTransform");
    }).toThrow('someTransform: output "y" is %2, which is not a tensor of the graph');
    const assigned = base();
    assigned.graph.assignments.push({ target: assigned.sum, value: assigned.sum });
    expect(() => {
      verify(assigned.graph, "someTransform");
    }).toThrow(GraphError);
  });
});
