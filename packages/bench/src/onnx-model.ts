/**
 * The little of ONNX's protobuf format that one-operator models need (onnx.proto3 of ONNX 1.x), written by hand: the one
 * npm package for it, onnx-proto, stopped at ONNX 1.10 and an old protobufjs.
 */

/** An attribute of a node: an integer, a float or a list of integers. */
export type OnnxAttribute = number | { readonly float: number } | readonly number[];

/** One operator. */
export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
}

/** A tensor at the border of the graph. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly number[];
}

/** A constant. */
export interface OnnxConstant extends OnnxValue {
  readonly data: Float32Array | BigInt64Array;
}

/** A graph of operators. */
export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants?: readonly OnnxConstant[];
}

const operatorSet = 17;
const irVersion = 8;
const types = { float: 1, int64: 7 } as const;
const attributeTypes = { float: 1, int: 2, ints: 7 } as const;

/** A field of a message: an integer, a 32-bit float, or bytes. */
function integer(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)];
}

function bytes(field: number, content: ArrayLike<number>): number[] {
  return [...varint((field << 3) | 2), ...varint(content.length), ...Array.from(content)];
}

function text(field: number, value: string): number[] {
  return bytes(field, new TextEncoder().encode(value));
}

function float(field: number, value: number): number[] {
  return [...varint((field << 3) | 5), ...new Uint8Array(Float32Array.of(value).buffer)];
}

/** Seven bits a byte, lowest first; negative numbers as 64 bits of two's complement. */
function varint(value: number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    out.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return out;
}

/** AttributeProto: name 1, f 2, i 3, ints 8, type 20. */
function attribute(name: string, value: OnnxAttribute): number[] {
  if (typeof value === "number") return [...text(1, name), ...integer(3, value), ...integer(20, attributeTypes.int)];
  if ("float" in value) return [...text(1, name), ...float(2, value.float), ...integer(20, attributeTypes.float)];
  return [...text(1, name), ...value.flatMap((each) => integer(8, each)), ...integer(20, attributeTypes.ints)];
}

/** NodeProto: input 1, output 2, op_type 4, attribute 5. */
function node({ op, inputs, outputs, attributes = {} }: OnnxNode): number[] {
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) => bytes(5, attribute(name, value))),
  ];
}

/** ValueInfoProto: name 1, type 2; TypeProto: tensor_type 1; its elem_type 1, shape 2; dim 1; dim_value 1. */
function valueInfo({ name, shape }: OnnxValue): number[] {
  const dims = shape.flatMap((size) => bytes(1, integer(1, size)));
  return [...text(1, name), ...bytes(2, bytes(1, [...integer(1, types.float), ...bytes(2, dims)]))];
}

/** TensorProto: dims 1, data_type 2, name 8, raw_data 9. */
function tensor({ name, shape, data }: OnnxConstant): number[] {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [...shape.flatMap((size) => integer(1, size)), ...integer(2, data instanceof Float32Array ? types.float : types.int64), ...text(8, name), ...bytes(9, raw)];
}

/** A graph as an ONNX file. ModelProto: ir_version 1, graph 7, opset_import 8; GraphProto: node 1, name 2, initializer 5, input 11, output 12. */
export function encodeOnnx({ nodes, inputs, outputs, constants = [] }: OnnxGraph): Uint8Array {
  const graph = [
    ...nodes.flatMap((each) => bytes(1, node(each))),
    ...text(2, "bench"),
    ...constants.flatMap((each) => bytes(5, tensor(each))),
    ...inputs.flatMap((each) => bytes(11, valueInfo(each))),
    ...outputs.flatMap((each) => bytes(12, valueInfo(each))),
  ];
  return Uint8Array.from([...integer(1, irVersion), ...bytes(7, graph), ...bytes(8, [...text(1, ""), ...integer(2, operatorSet)])]);
}
