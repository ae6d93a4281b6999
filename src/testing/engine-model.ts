// A model of a store of blobs and values, against any that has those two contracts: several clients at once call it by
// chance, and every answer is held against what was told before (store-facts.ts). Lives end by a close, a kill or a power
// cut; the next one may have less room, a disk that fails now and then, or bytes that rotted meanwhile.
import type { FailureKind } from '../base/failures.ts';
import type { CrashProgram } from './crash-points.ts';
import type { DiskImage } from './disk-image.ts';
import { DiskTree } from './disk-tree.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import { PromisedBytes, StoreClient } from './store-client.ts';
import type { ClientWorld, ModelledStore } from './store-client.ts';
import { StoreContents, valueBytes } from './store-contents.ts';
import { StoreFacts } from './store-facts.ts';

export interface StoreModelOptions {
  /** Starts the store on the disk of the machine. */
  readonly open: (machine: SimulatedMachine, settings: { readonly maxBytes: number }) => Promise<ModelledStore>;
  readonly blobSizes: readonly number[];
  readonly valuesCount: number;
  readonly valueSizes: readonly number[];
  /** Calls of each client in one life. */
  readonly steps: number;
  readonly clients: number;
  /** Room for everything there is. */
  readonly roomyBytes: number;
  /** If given, every other life has only so much, and evicts. */
  readonly tightBytes?: number;
  /** Of `tightBytes`, what may be promised by leases and still be kept. Default: none is checked. */
  readonly promisedShare?: number;
  /** In some lives, writes and syncs fail now and then. */
  readonly hasFaults?: boolean;
  /** Between lives, a stored blob or value may rot. */
  readonly hasRot?: boolean;
  /** Changes that only the first start after a crash has cause for. */
  readonly onceOnly?: RegExp;
}

const shareOfFaultyLives = 0.3;
const faultShare = 0.03;
const shareOfRot = 0.3;
const shareOfCloses = 0.6;
/** Of starts that are let do what they do in the background, which takes most of the time. */
const shareOfSettled = 0.2;
/** Of a full store, and of one whose disk fails. */
const refusalsOfTight: readonly FailureKind[] = ['resource_exhausted', 'disk_full', 'busy'];
const refusalsOfFaulty: readonly FailureKind[] = [...refusalsOfTight, 'unavailable'];

export function storeModel(options: StoreModelOptions): CrashProgram<StoreFacts> {
  const model = new StoreModel(options);
  return {
    facts: () => new StoreFacts(options.roomyBytes),
    live: (machine, facts, work) => model.live(machine, facts, work),
    ...(options.hasRot === true && { meanwhile: (image, facts, random) => model.rot(image, facts, random) }),
  };
}

class StoreModel {
  readonly #options: StoreModelOptions;
  readonly #contents: StoreContents;

  constructor(options: StoreModelOptions) {
    this.#options = options;
    this.#contents = new StoreContents(options.blobSizes, options.valuesCount);
  }

  async live(machine: SimulatedMachine, facts: StoreFacts, work: boolean): Promise<void> {
    const { roomyBytes, tightBytes, promisedShare = 0, onceOnly } = this.#options;
    if (work) facts.maxBytes = tightBytes === undefined ? roomyBytes : machine.random.pick([roomyBytes, tightBytes]);
    facts.mayEvict = facts.maxBytes !== roomyBytes;
    const { isSettled } = facts;
    const store = await this.#options.open(machine, facts);
    if (isSettled && onceOnly !== undefined && !facts.mayEvict) checkSettled(machine, onceOnly);
    const isFaulty = work && this.#options.hasFaults === true && machine.random.fraction() < shareOfFaultyLives;
    const world: ClientWorld = {
      machine,
      store,
      facts,
      contents: this.#contents,
      limits: { valueSizes: this.#options.valueSizes, refusals: isFaulty ? refusalsOfFaulty : facts.mayEvict ? refusalsOfTight : [], mayFailLate: isFaulty },
      promised: new PromisedBytes(facts.maxBytes * promisedShare),
    };
    await this.#verify(world);
    if (work) await this.#work(world, isFaulty);
    else if (machine.random.fraction() < shareOfSettled) {
      await machine.turns.idle();
      facts.settle();
    }
  }

  /** Changes a bit of a blob or value wherever it is stored. */
  rot(image: DiskImage, facts: StoreFacts, random: SeededRandom): DiskImage {
    if (random.fraction() >= shareOfRot) return image;
    const { blobs, values } = this.#contents;
    const victim = random.pick([...blobs, ...values]);
    const tree = new DiskTree(image);
    const { isClosed } = facts;
    // Short bytes could be anywhere by chance; and of a value, any of its puts may be there.
    const needles = 'bytes' in victim ? [victim.bytes] : facts.contentsOf(victim.key).map((content) => contentBytes(content));
    for (const [path, bytes] of tree.files()) {
      for (const needle of needles) {
        const at = needle.byteLength < 16 ? -1 : bytes.indexOf(needle);
        if (at === -1) continue;
        // Behind the last durable mark of a log a record that rotted looks like one that was torn, and is cut with what follows.
        if (isClosed) facts.damage(victim.key);
        else facts.damageEnd();
        const place = at + random.integer(0, needle.byteLength - 1);
        bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << random.integer(0, 7)), place);
        tree.tamper(tree.existing(path), bytes);
      }
    }
    return tree.image();
  }

  async #work(world: ClientWorld, isFaulty: boolean): Promise<void> {
    const { machine, store, facts } = world;
    const { steps, clients } = this.#options;
    if (isFaulty) machine.disk.fault = (operation) => ((operation === 'write' || operation === 'sync') && machine.random.fraction() < faultShare ? 'EIO' : undefined);
    const nextPut = (): number => facts.mark;
    await Promise.all(
      Array.from({ length: clients }, async () => {
        const client = new StoreClient(world, nextPut);
        for (let step = 0; step < steps; step += 1) await client.step();
      }),
    );
    machine.disk.fault = () => undefined;
    await this.#verify(world);
    if (machine.random.fraction() >= shareOfCloses) return;
    await store.close();
    facts.close();
  }

  /** Everything that was told holds. */
  async #verify(world: ClientWorld): Promise<void> {
    const { machine, store, contents } = world;
    const client = new StoreClient(world, () => 0);
    const asksFirst = machine.random.fraction() < 0.5;
    if (asksFirst) await client.findMissing(contents.blobs);
    if (machine.random.fraction() < 0.5) await client.getMany(contents.blobs);
    else for (const blob of contents.blobs) await client.getBlob(blob);
    await Promise.all(contents.values.map((value) => client.getValue(value)));
    if (store.audit === undefined) return;
    await machine.turns.idle();
    const { hasRot = false, hasFaults = false } = this.#options;
    const alarm = hasRot || hasFaults ? undefined : machine.log.lines.find((line) => line.startsWith('error '));
    const wrong = (await store.audit()) ?? alarm;
    if (wrong !== undefined) throw new Error(wrong);
  }
}

function checkSettled({ disk }: SimulatedMachine, onceOnly: RegExp): void {
  const changes = disk.trace.filter((line) => onceOnly.test(line));
  if (changes.length > 0) throw new Error(`the second start did again: ${changes.slice(0, 5).join(', ')}`);
}

function contentBytes(content: string): Buffer {
  const [, number, sizeBytes] = /^put (\d+) of (\d+) bytes;/.exec(content) ?? [];
  return valueBytes(Number(number), Number(sizeBytes));
}

