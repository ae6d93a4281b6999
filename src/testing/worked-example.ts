// The worked examples of docs/formats/, as bytes.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** One fenced block of hex. */
export interface WorkedBlock {
  /** What its first line counts from. */
  readonly offset: number;
  readonly bytes: Buffer;
}

/** All blocks of hex with leading offsets behind the heading "Example" of a format page, in the order of the page. */
export function workedBlocks(page: string): readonly WorkedBlock[] {
  const text = readFileSync(new URL(`../../docs/formats/${page}`, import.meta.url), 'utf8');
  const example = /\n## Example\n([\s\S]*?)(?:\n## |$)/.exec(text)?.[1] ?? '';
  const blocks = [...example.matchAll(/```\n((?:[0-9a-f]{4}  [0-9a-f ]+\n)+)```/g)].map(([, lines = '']) => ({
    offset: Number.parseInt(lines.slice(0, 4), 16),
    bytes: Buffer.from(lines.replace(/^[0-9a-f]{4}  /gm, '').replaceAll(/\s/g, ''), 'hex'),
  }));
  assert.ok(blocks.length > 0, `${page} has worked examples`);
  return blocks;
}

/** The lines of hex in the fenced block after the heading "Example" of a format page; leading offsets are left out. */
export function workedExample(page: string): Buffer {
  const text = readFileSync(new URL(`../../docs/formats/${page}`, import.meta.url), 'utf8');
  const block = /## Example\n[\s\S]*?```\n([\s\S]*?)```/.exec(text)?.[1];
  assert.ok(block !== undefined, `${page} has a worked example`);
  return Buffer.from(block.replace(/^[0-9a-f]{4}  /gm, '').replaceAll(/\s/g, ''), 'hex');
}

/** Whether the page says so, word for word. */
export function pageSays(page: string, text: string): boolean {
  return readFileSync(new URL(`../../docs/formats/${page}`, import.meta.url), 'utf8').includes(text);
}
