// Tells whether bytes are a message of a type, without making objects of it: for messages that are passed on as they
// came, and of which only a part is looked at.
import { ScalarType } from '@bufbuild/protobuf';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { WireError, WireReader } from './wire-reader.ts';

/** As deep as the generated code reads messages within messages. */
const depthMax = 100;

/** What the bytes of a field must be. */
interface FieldRule {
  readonly wireType: 0 | 1 | 2 | 5;
  readonly text: boolean;
  /** Numbers may stand together in one length-delimited field. */
  readonly packable: boolean;
  readonly inner: MessageRules | undefined;
}

/** Rules by field number; other fields are unknown ones. */
type MessageRules = Map<number, FieldRule>;

/**
 * Whatever it accepts, the generated code decodes. It is stricter: a known field has its own wire type, and nothing
 * reaches beyond the message it is in. Fields are counted, those of inner messages too: each takes two bytes on the wire
 * and some three hundred as an object, if it is decoded later.
 */
export class WireCheck {
  readonly #rules: MessageRules;
  readonly #fieldsMax: number;

  constructor(descriptor: DescMessage, fieldsMax: number) {
    this.#rules = rulesOf(descriptor, new Map());
    this.#fieldsMax = fieldsMax;
  }

  /** For one message: to be asked for each field that is not read otherwise. */
  begin(): FieldCheck {
    return new FieldCheck(this.#rules, this.#fieldsMax);
  }

  /** @throws WireError when `bytes` are no such message, or one with too many fields. */
  check(bytes: Uint8Array): void {
    const reader = new WireReader(bytes);
    const fields = this.begin();
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) fields.pass(reader, tag);
  }
}

/** The fields of one message. */
export class FieldCheck {
  readonly #rules: MessageRules;
  readonly #fieldsMax: number;
  #fieldsLeft: number;

  constructor(rules: MessageRules, fieldsMax: number) {
    this.#rules = rules;
    this.#fieldsMax = fieldsMax;
    this.#fieldsLeft = fieldsMax;
  }

  /** Passes over a field of the message. @throws WireError when it is not what it should be, or one too many. */
  pass(reader: WireReader, tag: number): void {
    this.#pass(reader, tag, this.#rules, 1);
  }

  /** Passes over a field of a message that is itself in the field `outerField`. @throws WireError as `pass`. */
  passInner(reader: WireReader, tag: number, outerField: number): void {
    const inner = this.#rules.get(outerField)?.inner;
    if (inner === undefined) throw new TypeError(`field ${outerField} is no message`);
    this.#pass(reader, tag, inner, 2);
  }

  /** Counts fields that were read otherwise. @throws WireError when they are too many. */
  count(fields = 1): void {
    this.#fieldsLeft -= fields;
    if (this.#fieldsLeft < 0) throw new WireError(`it has more than ${this.#fieldsMax} fields; send less at a time`);
  }

  #pass(reader: WireReader, tag: number, rules: MessageRules, depth: number): void {
    this.count();
    const number = tag >>> 3;
    const rule = rules.get(number);
    if (rule === undefined) {
      reader.skip(tag);
      return;
    }
    const wireType = tag & 7;
    if (rule.packable && wireType === 2) {
      passPacked(reader, rule.wireType);
      return;
    }
    if (wireType !== rule.wireType) throw new WireError(`field ${number} has the wrong wire type ${wireType}`);
    if (rule.text) reader.skipString();
    else if (rule.inner === undefined) reader.skip(tag);
    else this.#passMessage(reader, rule.inner, depth + 1);
  }

  #passMessage(reader: WireReader, rules: MessageRules, depth: number): void {
    if (depth > depthMax) throw new WireError(`messages are nested deeper than ${depthMax}`);
    const outerEnd = reader.enter();
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) this.#pass(reader, tag, rules, depth);
    reader.leave(outerEnd);
  }
}

/** `wireType` is that of each number; any field number serves to pass over it. */
function passPacked(reader: WireReader, wireType: number): void {
  const outerEnd = reader.enter();
  while (!reader.atEnd) reader.skip(8 + wireType);
  reader.leave(outerEnd);
}

function rulesOf(descriptor: DescMessage, known: Map<string, MessageRules>): MessageRules {
  const before = known.get(descriptor.typeName);
  if (before !== undefined) return before;
  const rules: MessageRules = new Map();
  known.set(descriptor.typeName, rules); // first, since a message may hold itself
  for (const field of descriptor.fields) rules.set(field.number, ruleOf(field, known));
  return rules;
}

function ruleOf(field: DescField, known: Map<string, MessageRules>): FieldRule {
  const { fieldKind, message: inner, scalar } = field;
  if (fieldKind === 'map') throw new TypeError(`${String(field)} is a map, which is not checked here`);
  if (inner !== undefined) return { wireType: 2, text: false, packable: false, inner: rulesOf(inner, known) };
  const wireType = (scalar && wireTypes.get(scalar)) ?? 0;
  return { wireType, text: scalar === ScalarType.STRING, packable: fieldKind === 'list' && wireType !== 2, inner: undefined };
}

/** Of all but variable-length numbers and enums. */
const wireTypes = new Map<ScalarType, FieldRule['wireType']>([
  [ScalarType.STRING, 2],
  [ScalarType.BYTES, 2],
  [ScalarType.FIXED64, 1],
  [ScalarType.SFIXED64, 1],
  [ScalarType.DOUBLE, 1],
  [ScalarType.FIXED32, 5],
  [ScalarType.SFIXED32, 5],
  [ScalarType.FLOAT, 5],
]);
