import { describe, expect, it } from "vitest";
import type { PickleValue } from "../pickle/values.js";
import { NumpyArray, toFloat64 } from "./numpy-array.js";
import { unpickle } from "./unpickle.js";

/** One dict of arrays, numpy scalars, bytes, sets and text, written by CPython 3 with numpy 2 in every protocol but 4. */
const FILES: readonly (readonly [protocol: number, base64: string])[] = [
  [
    0,
    "KGRwMApWYQpwMQpjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcDIKKGNudW1weQpuZGFycmF5CnAzCihJMAp0cDQKY19jb2RlY3MK" +
    "ZW5jb2RlCnA1CihWYgpwNgpWbGF0aW4xCnA3CnRwOApScDkKdHAxMApScDExCihJMQooSTIKSTMKdHAxMgpjbnVtcHkKZHR5cGUKcDEzCihWZjgKcDE0" +
    "CkkwMApJMDEKdHAxNQpScDE2CihJMwpWPApwMTcKTk5OSS0xCkktMQpJMAp0cDE4CmJJMDAKZzUKKFZcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAw" +
    "MDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBpQFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAw" +
    "MFx1MDAwMHlAXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwwIJAXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwiUBcdTAwMDBc" +
    "dTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBAj0AKcDE5Cmc3CnRwMjAKUnAyMQp0cDIyCmJzVkYKcDIzCmcyCihnMwooSTAKdHAyNApnOQp0cDI1ClJwMjYK" +
    "KEkxCihJMgpJMwp0cDI3CmcxMwooVmk4CnAyOApJMDAKSTAxCnRwMjkKUnAzMAooSTMKZzE3Ck5OTkktMQpJLTEKSTAKdHAzMQpiSTAxCmc1CihWXHUw" +
    "MDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwA1x1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAw" +
    "MAFcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDAEXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAwXHUwMDAw" +
    "Alx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMAVcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDBcdTAwMDAK" +
    "cDMyCmc3CnRwMzMKUnAzNAp0cDM1CmJzVmIKcDM2CmcyCihnMwooSTAKdHAzNwpnOQp0cDM4ClJwMzkKKEkxCihJMgp0cDQwCmcxMwooVmIxCnA0MQpJ" +
    "MDAKSTAxCnRwNDIKUnA0MwooSTMKVnwKcDQ0Ck5OTkktMQpJLTEKSTAKdHA0NQpiSTAwCmc1CihWAVx1MDAwMApwNDYKZzcKdHA0NwpScDQ4CnRwNDkK" +
    "YnNWcwpwNTAKY19fYnVpbHRpbl9fCnNldApwNTEKKChscDUyCkkxCmF0cDUzClJwNTQKc1Z5CnA1NQpnNQooVlx1MDAwMID/CnA1NgpnNwp0cDU3ClJw" +
    "NTgKc1Z6CnA1OQpjX19idWlsdGluX18KYnl0ZXMKcDYwCih0UnA2MQpzVnIKcDYyCmNfX2J1aWx0aW5fXwpieXRlYXJyYXkKcDYzCihnNQooVpwKcDY0" +
    "Cmc3CnRwNjUKUnA2Ngp0cDY3ClJwNjgKc1ZuCnA2OQpjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpzY2FsYXIKcDcwCihnMTYKZzUKKFaamZmZmZm5Pwpw" +
    "NzEKZzcKdHA3MgpScDczCnRwNzQKUnA3NQpzVmkKcDc2Cmc3MAooZzMwCmc1CihWv1x1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1MDAwMFx1" +
    "MDAwMApwNzcKZzcKdHA3OApScDc5CnRwODAKUnA4MQpzVnQKcDgyCmc3MAooZzQzCmc1CihWAQpwODMKZzcKdHA4NApScDg1CnRwODYKUnA4NwpzVnUK" +
    "cDg4Cmc3MAooZzEzCihWVTIKcDg5CkkwMApJMDEKdHA5MApScDkxCihJMwpnMTcKTk5OSTgKSTQKSTgKdHA5MgpiZzUKKFZhXHUwMDAwXHUwMDAwXHUw" +
    "MDAwYlx1MDAwMFx1MDAwMFx1MDAwMApwOTMKZzcKdHA5NApScDk1CnRwOTYKUnA5NwpzVlUKcDk4ClZa/HJpY2ggXHUyMGFjIFxVMDAwMWQxMWUgXHUw" +
    "MDVjIJwKcDk5CnNWbwpwMTAwCmNjb2xsZWN0aW9ucwpPcmRlcmVkRGljdApwMTAxCih0UnAxMDIKVngKcDEwMwpJMQpzcy4=",
  ],
  [
    1,
    "fXEAKFgBAAAAYXEBY251bXB5Ll9jb3JlLm11bHRpYXJyYXkKX3JlY29uc3RydWN0CnECKGNudW1weQpuZGFycmF5CnEDKEsAdHEEY19jb2RlY3MKZW5j" +
    "b2RlCnEFKFgBAAAAYnEGWAYAAABsYXRpbjFxB3RxCFJxCXRxClJxCyhLAShLAksDdHEMY251bXB5CmR0eXBlCnENKFgCAAAAZjhxDkkwMApJMDEKdHEP" +
    "UnEQKEsDWAEAAAA8cRFOTk5K/////0r/////SwB0cRJiSTAwCmgFKFg0AAAAAAAAAAAAAAAAAAAAAABpQAAAAAAAAHlAAAAAAADDgMKCQAAAAAAAAMKJ" +
    "QAAAAAAAQMKPQHETaAd0cRRScRV0cRZiWAEAAABGcRdoAihoAyhLAHRxGGgJdHEZUnEaKEsBKEsCSwN0cRtoDShYAgAAAGk4cRxJMDAKSTAxCnRxHVJx" +
    "HihLA2gRTk5OSv////9K/////0sAdHEfYkkwMQpoBShYMAAAAAAAAAAAAAAAAwAAAAAAAAABAAAAAAAAAAQAAAAAAAAAAgAAAAAAAAAFAAAAAAAAAHEg" +
    "aAd0cSFScSJ0cSNiWAEAAABicSRoAihoAyhLAHRxJWgJdHEmUnEnKEsBKEsCdHEoaA0oWAIAAABiMXEpSTAwCkkwMQp0cSpScSsoSwNYAQAAAHxxLE5O" +
    "Tkr/////Sv////9LAHRxLWJJMDAKaAUoWAIAAAABAHEuaAd0cS9ScTB0cTFiWAEAAABzcTJjX19idWlsdGluX18Kc2V0CnEzKF1xNEsBYXRxNVJxNlgB" +
    "AAAAeXE3aAUoWAUAAAAAwoDDv3E4aAd0cTlScTpYAQAAAHpxO2NfX2J1aWx0aW5fXwpieXRlcwpxPClScT1YAQAAAHJxPmNfX2J1aWx0aW5fXwpieXRl" +
    "YXJyYXkKcT8oaAUoWAIAAADCnHFAaAd0cUFScUJ0cUNScURYAQAAAG5xRWNudW1weS5fY29yZS5tdWx0aWFycmF5CnNjYWxhcgpxRihoEGgFKFgPAAAA" +
    "wprCmcKZwpnCmcKZwrk/cUdoB3RxSFJxSXRxSlJxS1gBAAAAaXFMaEYoaB5oBShYCQAAAMK/AAAAAAAAAHFNaAd0cU5ScU90cVBScVFYAQAAAHRxUmhG" +
    "KGgraAUoWAEAAAABcVNoB3RxVFJxVXRxVlJxV1gBAAAAdXFYaEYoaA0oWAIAAABVMnFZSTAwCkkwMQp0cVpScVsoSwNoEU5OTksISwRLCHRxXGJoBShY" +
    "CAAAAGEAAABiAAAAcV1oB3RxXlJxX3RxYFJxYVgBAAAAVXFiWBUAAABaw7xyaWNoIOKCrCDwnYSeIFwgwpxxY1gBAAAAb3FkY2NvbGxlY3Rpb25zCk9y" +
    "ZGVyZWREaWN0CnFlKVJxZlgBAAAAeHFnSwFzdS4=",
  ],
  [
    2,
    "gAJ9cQAoWAEAAABhcQFjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQJjbnVtcHkKbmRhcnJheQpxA0sAhXEEY19jb2RlY3MKZW5j" +
    "b2RlCnEFWAEAAABicQZYBgAAAGxhdGluMXEHhnEIUnEJh3EKUnELKEsBSwJLA4ZxDGNudW1weQpkdHlwZQpxDVgCAAAAZjhxDomIh3EPUnEQKEsDWAEA" +
    "AAA8cRFOTk5K/////0r/////SwB0cRJiiWgFWDQAAAAAAAAAAAAAAAAAAAAAAGlAAAAAAAAAeUAAAAAAAMOAwoJAAAAAAAAAwolAAAAAAABAwo9AcRNo" +
    "B4ZxFFJxFXRxFmJYAQAAAEZxF2gCaANLAIVxGGgJh3EZUnEaKEsBSwJLA4ZxG2gNWAIAAABpOHEciYiHcR1ScR4oSwNoEU5OTkr/////Sv////9LAHRx" +
    "H2KIaAVYMAAAAAAAAAAAAAAAAwAAAAAAAAABAAAAAAAAAAQAAAAAAAAAAgAAAAAAAAAFAAAAAAAAAHEgaAeGcSFScSJ0cSNiWAEAAABicSRoAmgDSwCF" +
    "cSVoCYdxJlJxJyhLAUsChXEoaA1YAgAAAGIxcSmJiIdxKlJxKyhLA1gBAAAAfHEsTk5OSv////9K/////0sAdHEtYoloBVgCAAAAAQBxLmgHhnEvUnEw" +
    "dHExYlgBAAAAc3EyY19fYnVpbHRpbl9fCnNldApxM11xNEsBYYVxNVJxNlgBAAAAeXE3aAVYBQAAAADCgMO/cThoB4ZxOVJxOlgBAAAAenE7Y19fYnVp" +
    "bHRpbl9fCmJ5dGVzCnE8KVJxPVgBAAAAcnE+Y19fYnVpbHRpbl9fCmJ5dGVhcnJheQpxP2gFWAIAAADCnHFAaAeGcUFScUKFcUNScURYAQAAAG5xRWNu" +
    "dW1weS5fY29yZS5tdWx0aWFycmF5CnNjYWxhcgpxRmgQaAVYDwAAAMKawpnCmcKZwpnCmcK5P3FHaAeGcUhScUmGcUpScUtYAQAAAGlxTGhGaB5oBVgJ" +
    "AAAAwr8AAAAAAAAAcU1oB4ZxTlJxT4ZxUFJxUVgBAAAAdHFSaEZoK2gFWAEAAAABcVNoB4ZxVFJxVYZxVlJxV1gBAAAAdXFYaEZoDVgCAAAAVTJxWYmI" +
    "h3FaUnFbKEsDaBFOTk5LCEsESwh0cVxiaAVYCAAAAGEAAABiAAAAcV1oB4ZxXlJxX4ZxYFJxYVgBAAAAVXFiWBUAAABaw7xyaWNoIOKCrCDwnYSeIFwg" +
    "wpxxY1gBAAAAb3FkY2NvbGxlY3Rpb25zCk9yZGVyZWREaWN0CnFlKVJxZlgBAAAAeHFnSwFzdS4=",
  ],
  [
    3,
    "gAN9cQAoWAEAAABhcQFjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQJjbnVtcHkKbmRhcnJheQpxA0sAhXEEQwFicQWHcQZScQco" +
    "SwFLAksDhnEIY251bXB5CmR0eXBlCnEJWAIAAABmOHEKiYiHcQtScQwoSwNYAQAAADxxDU5OTkr/////Sv////9LAHRxDmKJQzAAAAAAAAAAAAAAAAAA" +
    "AGlAAAAAAAAAeUAAAAAAAMCCQAAAAAAAAIlAAAAAAABAj0BxD3RxEGJYAQAAAEZxEWgCaANLAIVxEmgFh3ETUnEUKEsBSwJLA4ZxFWgJWAIAAABpOHEW" +
    "iYiHcRdScRgoSwNoDU5OTkr/////Sv////9LAHRxGWKIQzAAAAAAAAAAAAMAAAAAAAAAAQAAAAAAAAAEAAAAAAAAAAIAAAAAAAAABQAAAAAAAABxGnRx" +
    "G2JYAQAAAGJxHGgCaANLAIVxHWgFh3EeUnEfKEsBSwKFcSBoCVgCAAAAYjFxIYmIh3EiUnEjKEsDWAEAAAB8cSROTk5K/////0r/////SwB0cSViiUMC" +
    "AQBxJnRxJ2JYAQAAAHNxKGNidWlsdGlucwpzZXQKcSldcSpLAWGFcStScSxYAQAAAHlxLUMDAID/cS5YAQAAAHpxL0MAcTBYAQAAAHJxMWNidWlsdGlu" +
    "cwpieXRlYXJyYXkKcTJDAZxxM4VxNFJxNVgBAAAAbnE2Y251bXB5Ll9jb3JlLm11bHRpYXJyYXkKc2NhbGFyCnE3aAxDCJqZmZmZmbk/cTiGcTlScTpY" +
    "AQAAAGlxO2g3aBhDCL8AAAAAAAAAcTyGcT1ScT5YAQAAAHRxP2g3aCNDAQFxQIZxQVJxQlgBAAAAdXFDaDdoCVgCAAAAVTJxRImIh3FFUnFGKEsDaA1O" +
    "Tk5LCEsESwh0cUdiQwhhAAAAYgAAAHFIhnFJUnFKWAEAAABVcUtYFQAAAFrDvHJpY2gg4oKsIPCdhJ4gXCDCnHFMWAEAAABvcU1jY29sbGVjdGlvbnMK" +
    "T3JkZXJlZERpY3QKcU4pUnFPWAEAAAB4cVBLAXN1Lg==",
  ],
  [
    5,
    "gAWVZwIAAAAAAAB9lCiMAWGUjBNudW1weS5fY29yZS5udW1lcmljlIwLX2Zyb21idWZmZXKUk5QoljAAAAAAAAAAAAAAAAAAAAAAAAAAAABpQAAAAAAA" +
    "AHlAAAAAAADAgkAAAAAAAACJQAAAAAAAQI9AlIwFbnVtcHmUjAVkdHlwZZSTlIwCZjiUiYiHlFKUKEsDjAE8lE5OTkr/////Sv////9LAHSUYksCSwOG" +
    "lIwBQ5R0lFKUjAFGlGgEKJYwAAAAAAAAAAAAAAAAAAAAAwAAAAAAAAABAAAAAAAAAAQAAAAAAAAAAgAAAAAAAAAFAAAAAAAAAJRoCIwCaTiUiYiHlFKU" +
    "KEsDaAxOTk5K/////0r/////SwB0lGJLAksDhpRoEnSUUpSMAWKUaAQolgIAAAAAAAAAAQCUaAiMAmIxlImIh5RSlChLA4wBfJROTk5K/////0r/////" +
    "SwB0lGJLAoWUaA90lFKUjAFzlI+UKEsBkIwBeZRDAwCA/5SMAXqUQwCUjAFylJYBAAAAAAAAAJyUjAFulIwWbnVtcHkuX2NvcmUubXVsdGlhcnJheZSM" +
    "BnNjYWxhcpSTlGgLQwiamZmZmZm5P5SGlFKUjAFplGgwaBZDCL8AAAAAAAAAlIaUUpSMAXSUaDBoH0MBAZSGlFKUjAF1lGgwaAiMAlUylImIh5RSlChL" +
    "A2gMTk5OSwhLBEsIdJRiQwhhAAAAYgAAAJSGlFKUjAFVlIwVWsO8cmljaCDigqwg8J2EniBcIMKclIwBb5SMC2NvbGxlY3Rpb25zlIwLT3JkZXJlZERp" +
    "Y3SUk5QpUpSMAXiUSwFzdS4=",
  ],
];

const bytesOf = (base64: string): Uint8Array => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

function plain(value: PickleValue): unknown {
  if (value instanceof NumpyArray) return { shape: value.shape, data: Array.from(toFloat64(value, "array")) };
  return value instanceof Map ? Object.fromEntries([...value].map(([key, item]) => [typeof key === "string" ? key : "", plain(item)])) : value;
}

describe("unpickle", () => {
  it.each(FILES)("reads protocol %i", (_, base64) => {
    expect(plain(unpickle(bytesOf(base64), "test.pkl"))).toEqual({
      a: { shape: [2, 3], data: [0, 200, 400, 600, 800, 1000] },
      F: { shape: [2, 3], data: [0, 1, 2, 3, 4, 5] },
      b: { shape: [2], data: [1, 0] },
      s: new Set([1]),
      y: Uint8Array.of(0, 0x80, 0xff),
      z: new Uint8Array(0),
      r: Uint8Array.of(0x9c),
      n: 0.1,
      i: 191,
      t: true,
      u: "ab",
      U: "Z\u00fcrich \u20ac \u{1d11e} \\ \u009c",
      o: { x: 1 },
    });
  });

  it.each(FILES)("says where protocol %i was cut off", (_, base64) => {
    const whole = bytesOf(base64);
    for (let cut = 1; cut < whole.length; cut += 11) expect(() => unpickle(whole.subarray(0, cut), "cut.pkl"), `cut at ${cut}`).toThrow(/^cut.pkl: the file is truncated/);
  });

  it("reads no call but those that pickle writes", () => {
    const text = (...lines: string[]): Uint8Array => new TextEncoder().encode(`${lines.join("\n")}.`);
    expect(() => unpickle(text("c_codecs", "encode", "(Vab", "Vutf-7", "tR"), "a.pkl")).toThrow("a.pkl: not a readable pickle: a call numpy does not write");
    expect(() => unpickle(text("c_codecs", "decode", "(Vab", "Vlatin1", "tR"), "a.pkl")).toThrow('refused global "_codecs.decode"');
    expect(() => unpickle(text("cbuiltins", "set", "(Vab", "tR"), "a.pkl")).toThrow("a call numpy does not write");
  });
});
