// What an ActionResult refers to, read from its bytes: for results that are served as they are stored, where all that
// is to be known of them is whether their blobs are there.
import { ActionResultSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { PackedDigests } from './packed-digests.ts';
import type { ReceivedDigests } from './packed-digests.ts';
import { WireCheck } from './wire-check.ts';
import type { FieldCheck } from './wire-check.ts';
import { WireReader } from './wire-reader.ts';

/** What a result names itself, each in the order in which it stands there. */
export interface ActionReferences {
  /** Output files, standard output and error; not what stands in directories. */
  readonly files: ReceivedDigests;
  /** Output directories with a Tree. */
  readonly trees: ReceivedDigests;
  /** Output directories with a root Directory, with or without a Tree. */
  readonly roots: ReceivedDigests;
  /** Path of the first output file or directory that has no digest. */
  readonly withoutDigest: string | undefined;
  /** Bytes of outputs stand in the result itself. */
  readonly inlines: boolean;
}

/** Of a result of 4 MiB; so many take some 150 MiB when it is decoded. */
const fieldsMax = 500_000;
const resultCheck = new WireCheck(ActionResultSchema, fieldsMax);

const filesField = 2;
const directoriesField = 3;
const filesTag = 18;
const directoriesTag = 26;
const stdoutRawTag = 42;
const stdoutDigestTag = 50;
const stderrRawTag = 58;
const stderrDigestTag = 66;

/** @throws WireError when `bytes` are no ActionResult, or one with too many fields. */
export function walkActionResult(bytes: Uint8Array): ActionReferences {
  return new ActionResultWalk().walk(new WireReader(bytes));
}

class ActionResultWalk {
  readonly #fields: FieldCheck = resultCheck.begin();
  readonly #files = new PackedDigests(fieldsMax);
  readonly #trees = new PackedDigests(fieldsMax);
  readonly #roots = new PackedDigests(fieldsMax);
  #withoutDigest: string | undefined;
  #inlines = false;

  walk(reader: WireReader): ActionReferences {
    let stdout = -1;
    let stderr = -1;
    let stdoutBytes = 0;
    let stderrBytes = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === filesTag) this.#walkFile(reader);
      else if (tag === directoriesTag) this.#walkDirectory(reader);
      else if (tag === stdoutDigestTag) stdout = this.#readOnce(this.#files, stdout, reader);
      else if (tag === stderrDigestTag) stderr = this.#readOnce(this.#files, stderr, reader);
      else if (tag === stdoutRawTag) stdoutBytes = this.#lengthOf(reader);
      else if (tag === stderrRawTag) stderrBytes = this.#lengthOf(reader);
      else this.#fields.pass(reader, tag);
    }
    return {
      files: this.#files,
      trees: this.#trees,
      roots: this.#roots,
      withoutDigest: this.#withoutDigest,
      inlines: this.#inlines || stdoutBytes > 0 || stderrBytes > 0,
    };
  }

  /** OutputFile: path 1, digest 2, contents 5. */
  #walkFile(reader: WireReader): void {
    this.#fields.count();
    const outerEnd = reader.enter();
    let digest = -1;
    let path = '';
    let contentBytes = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) path = this.#pathOf(reader);
      else if (tag === 18) digest = this.#readOnce(this.#files, digest, reader);
      else if (tag === 42) contentBytes = this.#lengthOf(reader);
      else this.#fields.passInner(reader, tag, filesField);
    }
    reader.leave(outerEnd);
    if (contentBytes > 0) this.#inlines = true;
    if (digest < 0) this.#withoutDigest ??= path;
  }

  /** OutputDirectory: path 1, tree_digest 3, root_directory_digest 5. */
  #walkDirectory(reader: WireReader): void {
    this.#fields.count();
    const outerEnd = reader.enter();
    let tree = -1;
    let root = -1;
    let path = '';
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) path = this.#pathOf(reader);
      else if (tag === 26) tree = this.#readOnce(this.#trees, tree, reader);
      else if (tag === 42) root = this.#readOnce(this.#roots, root, reader);
      else this.#fields.passInner(reader, tag, directoriesField);
    }
    reader.leave(outerEnd);
    if (tree < 0 && root < 0) this.#withoutDigest ??= path;
  }

  /** Only the first one that has no digest is asked for, which is told at the end of its message. */
  #pathOf(reader: WireReader): string {
    this.#fields.count();
    if (this.#withoutDigest === undefined) return reader.string();
    reader.skipString();
    return '';
  }

  #lengthOf(reader: WireReader): number {
    this.#fields.count();
    return reader.skipBytes();
  }

  /** A field that occurs once is merged if it does again. Returns its index. */
  #readOnce(into: PackedDigests, index: number, reader: WireReader): number {
    const before = into.unknownFields;
    const at = index < 0 ? into.read(reader) : index;
    if (index >= 0) into.merge(index, reader);
    this.#fields.count(3 + into.unknownFields - before); // the digest and its two fields
    return at;
  }
}
