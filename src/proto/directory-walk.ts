// What a Directory refers to, read from its bytes, a part at a time: one may have hundreds of thousands of files.
import { DirectorySchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { PackedDigests } from './packed-digests.ts';
import { WireCheck } from './wire-check.ts';
import type { FieldCheck } from './wire-check.ts';
import { WireReader } from './wire-reader.ts';

/** A directory of 100,000 files; decoded, so many take some 150 MiB. */
const fieldsMax = 500_000;
const directoryCheck = new WireCheck(DirectorySchema, fieldsMax);

const filesField = 1;
const directoriesField = 2;
const filesTag = 10;
const directoriesTag = 18;

/** A position in a Directory. `next` takes it further. */
export class DirectoryWalk {
  readonly #reader: WireReader;
  readonly #fields: FieldCheck = directoryCheck.begin();
  readonly #files: PackedDigests | undefined;
  /** Of the directories in it, as far as they were read. */
  readonly directories = new PackedDigests(fieldsMax);
  #withoutDigest: string | undefined;

  /** The digests of files go into a list that several directories may share; without one, files are passed over. */
  constructor(bytes: Uint8Array, files?: PackedDigests) {
    this.#reader = new WireReader(bytes);
    this.#files = files;
  }

  /** Name of the first of those so far that has no digest. */
  get withoutDigest(): string | undefined {
    return this.#withoutDigest;
  }

  /**
   * Reads `bytesMax` bytes or a little more; false when there is nothing left.
   * @throws WireError when the bytes are no Directory, or one with too many fields.
   */
  next(bytesMax: number): boolean {
    const reader = this.#reader;
    const end = reader.position + bytesMax;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === filesTag && this.#files !== undefined) this.#readNode(this.#files, filesField);
      else if (tag === directoriesTag) this.#readNode(this.directories, directoriesField);
      else this.#fields.pass(reader, tag);
      if (reader.position >= end) return !reader.atEnd;
    }
    return false;
  }

  /** FileNode and DirectoryNode: name 1, digest 2. */
  #readNode(digests: PackedDigests, field: number): void {
    const reader = this.#reader;
    const unknownBefore = digests.unknownFields;
    const outerEnd = reader.enter();
    let digest = -1;
    let name = '';
    let fields = 1;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) {
        if (this.#withoutDigest === undefined) name = reader.string();
        else reader.skipString();
        fields += 1;
      } else if (tag === 18) {
        if (digest < 0) digest = digests.read(reader);
        else digests.merge(digest, reader);
        fields += 3; // with its own two
      } else this.#fields.passInner(reader, tag, field);
    }
    reader.leave(outerEnd);
    this.#fields.count(fields + digests.unknownFields - unknownBefore);
    if (digest < 0) this.#withoutDigest ??= name;
  }
}
