// Compares a hand-written decoder with the generated one, as its oracle.
import { fromBinary } from '@bufbuild/protobuf';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { damaged, randomWire } from './random-wire.ts';
import type { Samples } from './random-wire.ts';
import { SeededRandom } from './seeded-random.ts';

const hash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const samples: Samples = { hash: [hash, hash.toUpperCase(), '', 'f'.repeat(128), 'häsh', 'xyz'], instance_name: ['', 'main', 'ä/b'] };
const seeds = [1, 2, 3, 20_261_121];
const roundsPerSeed = 150;

export interface ComparedDecoder<D extends DescMessage> {
  readonly schema: D;
  /** Where a message has more than one way. Default: the name of the message. */
  readonly label?: string;
  /** What the hand-written decoder made of the bytes, in a form that can be compared; it throws WireError alone. */
  readonly byHand: (bytes: Uint8Array) => unknown;
  /** The same form, from what the generated code made of them. */
  readonly generated: (message: MessageShape<D>) => unknown;
}

/**
 * The hand-written one understands whatever an encoder may write as the generated one does. Of damaged bytes it
 * takes nothing that the generated one does not take, and what it takes it understands in the same way.
 */
export function compareDecoders<D extends DescMessage>({ schema, label = schema.name, byHand, generated }: ComparedDecoder<D>): void {
  const expected = (bytes: Uint8Array) => generated(fromBinary(schema, bytes, { readUnknownFields: false }));
  describe(`${label} by hand`, () => {
    it('decodes what any encoder writes as the generated code does', () => {
      for (const seed of seeds) {
        const random = new SeededRandom(seed);
        for (let round = 0; round < roundsPerSeed; round += 1) {
          const bytes = randomWire(random, schema, samples);
          assert.deepStrictEqual(byHand(bytes), expected(bytes), `seed ${seed}: ${Buffer.from(bytes).toString('hex')}`);
        }
      }
    });

    it('gives the same for damaged bytes, or refuses them; and refuses all that the generated code refuses', () => {
      let accepted = 0;
      for (const seed of seeds) {
        const random = new SeededRandom(seed);
        for (let round = 0; round < 4 * roundsPerSeed; round += 1) {
          const bytes = damaged(random, randomWire(random, schema, samples));
          let decoded;
          try {
            decoded = byHand(bytes);
          } catch (error) {
            assert.equal((error as Error).name, 'WireError', String(error));
            continue;
          }
          accepted += 1;
          assert.deepStrictEqual(decoded, expected(bytes), `seed ${seed}: ${Buffer.from(bytes).toString('hex')}`);
        }
      }
      assert.ok(accepted > (seeds.length * roundsPerSeed) / 10, `only ${accepted} damaged messages were still messages`);
    });
  });
}
