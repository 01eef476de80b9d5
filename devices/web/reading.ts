/** Reads what arrives: JSON that is what the contract says, or nothing. */

import { Validator } from "@cfworker/json-schema";

import { definitions, type Contract, type Received } from "./contract.ts";

const checkers = new Map<Received, Validator>();

/** null for anything that is not a `name` of the contract; what was wrong is not logged, for it may be personal. */
export function read<N extends Received>(name: N, payload: string): Contract[N] | null {
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch {
    return null;
  }
  return isMessage(name, value) ? value : null;
}

export function isMessage<N extends Received>(name: N, value: unknown): value is Contract[N] {
  let checker = checkers.get(name);
  if (checker === undefined) {
    checker = new Validator({ $ref: `#/$defs/${name}`, $defs: definitions } as never, "2020-12");
    checkers.set(name, checker);
  }
  return checker.validate(value).valid;
}
