// Finds the .proto file that defines a symbol, among the files of some services and everything they import.
import { toBinary } from '@bufbuild/protobuf';
import type { DescFile, DescMessage, DescService } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** Files are given as serialised FileDescriptorProtos: the one asked for first, then its imports, each once. */
export class DescriptorCatalog {
  readonly serviceNames: readonly string[];
  readonly #files = new Map<string, DescFile>();
  /** By full name: messages, fields, oneofs, enums and their values, services, methods, extensions. */
  readonly #symbols = new Map<string, DescFile>();
  /** Every message type, with the files of its extensions by number. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  constructor(services: readonly DescService[]) {
    this.serviceNames = services.map(({ typeName }) => typeName).toSorted();
    for (const { file } of services) this.#addFile(file);
    for (const file of this.#files.values()) this.#addExtensions(file, file);
  }

  /** By the path that other files import it by, with `.proto`. */
  fileNamed(path: string): readonly Uint8Array[] | undefined {
    return serialised(this.#files.get(path));
  }

  fileWithSymbol(fullName: string): readonly Uint8Array[] | undefined {
    return serialised(this.#symbols.get(fullName));
  }

  fileWithExtension(extendee: string, number: number): readonly Uint8Array[] | undefined {
    return serialised(this.#extensions.get(extendee)?.get(number));
  }

  /** Ascending; undefined when there is no such message type. */
  extensionNumbers(extendee: string): readonly number[] | undefined {
    const numbers = this.#extensions.get(extendee)?.keys();
    return numbers === undefined ? undefined : [...numbers].toSorted((a, b) => a - b);
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(pathOf(file))) return;
    this.#files.set(pathOf(file), file);
    for (const message of file.messages) this.#addMessage(message);
    for (const { typeName, values } of file.enums) this.#addEnum(file, typeName, values);
    for (const service of file.services) {
      this.#symbols.set(service.typeName, file);
      for (const method of service.methods) this.#symbols.set(`${service.typeName}.${method.name}`, file);
    }
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  #addMessage(message: DescMessage): void {
    const { file, typeName } = message;
    this.#symbols.set(typeName, file);
    this.#extensions.set(typeName, new Map());
    for (const { name } of [...message.fields, ...message.oneofs]) this.#symbols.set(`${typeName}.${name}`, file);
    for (const nested of message.nestedEnums) this.#addEnum(file, nested.typeName, nested.values);
    for (const nested of message.nestedMessages) this.#addMessage(nested);
  }

  /** Values of an enum are siblings of the enum, not its children. */
  #addEnum(file: DescFile, typeName: string, values: readonly { readonly name: string }[]): void {
    this.#symbols.set(typeName, file);
    const scope = typeName.slice(0, typeName.lastIndexOf('.') + 1);
    for (const { name } of values) this.#symbols.set(scope + name, file);
  }

  #addExtensions(file: DescFile, scope: DescFile | DescMessage): void {
    const extensions = scope.kind === 'file' ? scope.extensions : scope.nestedExtensions;
    for (const { typeName, number, extendee } of extensions) {
      this.#symbols.set(typeName, file);
      this.#extensions.get(extendee.typeName)?.set(number, file);
    }
    for (const message of scope.kind === 'file' ? scope.messages : scope.nestedMessages) this.#addExtensions(file, message);
  }
}

function serialised(file: DescFile | undefined): readonly Uint8Array[] | undefined {
  if (file === undefined) return undefined;
  const found = new Set<DescFile>();
  const add = (next: DescFile): void => {
    if (found.has(next)) return;
    found.add(next);
    next.dependencies.forEach(add);
  };
  add(file);
  return [...found].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
}

/** protobuf-es keeps the path without its extension. */
function pathOf(file: DescFile): string {
  return `${file.name}.proto`;
}
