// Which name in `uploads/` is what. docs/formats/uploads.md

export const uploadsDirectoryName = 'uploads';

/** `name`: of the upload, the same for its data and its journal. */
export type UploadFileName = { readonly kind: 'data' | 'journal'; readonly name: string } | { readonly kind: 'foreign' };

/** 64 hex digits are the key of an upload that can be resumed, numbers are those of this process. */
const form = /^([0-9a-f]{64}|0|[1-9][0-9]{0,14})\.(data|journal)$/;
const keyDigits = 64;

export function uploadDataName(name: string): string {
  return `${name}.data`;
}

export function uploadJournalName(key: string): string {
  return `${key}.journal`;
}

export function classifyUploadFile(fileName: string): UploadFileName {
  const [, name, ending] = form.exec(fileName) ?? [];
  if (name === undefined) return { kind: 'foreign' };
  return { kind: ending === 'data' ? 'data' : 'journal', name };
}

/** Whether the upload of that name may have a journal. */
export function isUploadKey(name: string): boolean {
  return name.length === keyDigits;
}
