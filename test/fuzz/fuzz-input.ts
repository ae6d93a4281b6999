// One input of the fuzzer: what the peer sends, and what tells everything else that happens while it is read. Kept as
// text, a frame on each line, so that a corpus can be read and its changes reviewed.

export interface FuzzInput {
  /** Of the engine that reads the input. */
  readonly role: 'server' | 'client';
  /** Which limits the engine has; any number, taken modulo those there are. */
  readonly limits: number;
  /** Seed of what the application above does and of how the input is cut into chunks. */
  readonly application: number;
  /** The octets of the peer; their division into items matters to who mutates them only. */
  readonly items: readonly Buffer[];
}

const lineBytesMax = 64;

/** The form of the files in corpus/. */
export function formatInput(input: FuzzInput, comment: string): string {
  const lines = input.items.flatMap((item) => {
    const hex: string[] = [];
    for (let at = 0; at < item.length || at === 0; at += lineBytesMax) hex.push(`${at === 0 ? 'frame' : '     '} ${item.toString('hex', at, at + lineBytesMax)}`.trimEnd());
    return hex;
  });
  return [`# ${comment}`, `role ${input.role}`, `limits ${input.limits}`, `application ${input.application}`, ...lines, ''].join('\n');
}

/** @throws Error for a line that is none of the form. */
export function parseInput(text: string): FuzzInput {
  let [role, limits, application]: ['server' | 'client', number, number] = ['server', 0, 0];
  const items: string[] = [];
  for (const line of text.split('\n')) {
    const [, word = '', rest = ''] = /^(\w*)\s*(.*)$/.exec(line) ?? [];
    if (line === '' || line.startsWith('#')) continue;
    if (word === 'role' && (rest === 'server' || rest === 'client')) role = rest;
    else if (word === 'limits') limits = Number(rest);
    else if (word === 'application') application = Number(rest);
    else if (word === 'frame' && /^(?:[0-9a-f]{2})*$/.test(rest)) items.push(rest);
    else if (/^ +(?:[0-9a-f]{2})+$/.test(line) && items.length > 0) items.push((items.pop() ?? '') + line.trim());
    else throw new Error(`"${line}" is no line of a fuzz input`);
  }
  return { role, limits, application, items: items.map((hex) => Buffer.from(hex, 'hex')) };
}
