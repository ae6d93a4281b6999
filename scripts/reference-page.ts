// The reference of the configuration, made from its schema: docs/configuration.md and the JSON Schema beside it.
import { configurationJsonSchema } from '../src/config/json-schema.ts';
import { lookInto } from '../src/config/key.ts';
import type { Key, KeyForm } from '../src/config/key.ts';
import { identitySchema } from '../src/config/rights-schema.ts';
import { serveSchema, startKeys } from '../src/config/serve-schema.ts';

/** Files by path below docs/, as they should be. */
export function referenceFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['configuration.md', referencePage()],
    ['configuration.schema.json', `${JSON.stringify(configurationJsonSchema(), undefined, 2)}\n`],
  ]);
}

const introduction = `# Configuration

<!-- Made by scripts/generate-reference.ts from the schema in src/config/. Change it there. -->

\`kiln serve\` needs no configuration. What you set is given as a flag, as an environment variable, or as a key of a YAML file that \`--config FILE\` or \`KILN_CONFIG\` names. A flag goes before the variable, the variable before the file, the file before the default.

\`\`\`yaml
# /etc/kiln/kiln.yaml
listen: [0.0.0.0:9092]
data: /var/cache/kiln
max-size: 100GiB
rights:
  tokens-file: tokens.yaml
log:
  level: info
\`\`\`

- **Names.** The key \`log.level\` is \`level\` below \`log\` in the file, \`--log-level\` as a flag and \`KILN_LOG_LEVEL\` as a variable. Flags are written \`--flag VALUE\` or \`--flag=VALUE\`. An empty variable counts as unset.
- **Lists.** In the file \`[a, b]\`, as a flag given several times, in a variable separated by commas.
- **Sizes** have a unit: \`B\`, \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\`, or decimal \`KB\`, \`MB\`, \`GB\`, \`TB\`. **Durations** have one too: \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`.
- **Paths** in the file are relative to the folder of the file, others to the working directory. Nothing replaces \`~\` or \`$HOME\` in them.
- **YAML** is taken at its word: \`yes\` is no \`true\`, \`0777\` no number. Put text with special characters into quotes, such as \`"*"\` and \`"[::1]:9092"\`. Anchors, aliases, merge keys and tags are refused.
- **Nothing unknown is passed over.** A misspelt key, flag or variable, or a wrong value, keeps Kiln from starting: a misspelt limit must not run with the default. This includes every variable that begins with \`KILN_\`. (In Kubernetes, a Service named \`kiln\` puts such variables into every pod; set \`enableServiceLinks: false\` in Kiln's.)

\`\`\`
$ kiln config check --config kiln.yaml
kiln: /etc/kiln/kiln.yaml:2:1: unknown key "max-sise"
  did you mean max-size? example: max-size: 10GiB
kiln: /etc/kiln/kiln.yaml:4:10: log.level: "debgu" is none of debug, info, warn, error
  did you mean debug? example: level: debug
\`\`\`

\`kiln config check\` names every mistake at once and ends with status 2, and starts nothing. \`kiln config print\` shows what is in effect, with the line, variable or flag that each value comes from, as YAML that can be used as a file; secrets are left out. \`kiln config schema\` prints the JSON Schema of the file, which is also [configuration.schema.json](configuration.schema.json) here. An editor with support for YAML completes and checks keys when the file begins with

\`\`\`yaml
# yaml-language-server: $schema=/path/to/configuration.schema.json
\`\`\`

## Reload

SIGHUP reads the file again, and the files it names; flags and variables stay what they were. What the tables mark with ↻ changes at once: connections that are open and calls that run go on. For every other key that has changed, the log says that it needs a restart. A file with mistakes changes nothing, and the log names them.

\`allow-anonymous\` changes between \`none\`, \`read\`, \`write\` and \`overwrite\`; taking it out of the file needs a restart, unless there are credentials.
`;

function referencePage(): string {
  const parts = [introduction];
  let group: Key['group'];
  let isFirst = true;
  for (const key of startKeys) {
    if (!isFirst && group === undefined && key.group !== undefined) parts.push(addresses());
    if (isFirst || key.group !== group) {
      const help = key.group?.help === undefined ? '' : `${key.group.help}\n\n`;
      parts.push(`\n## ${key.group?.title ?? 'General'}\n\n${help}| Key and value | Flag, variable | Default | Meaning |\n|---|---|---|---|\n`);
    }
    isFirst = false;
    group = key.group;
    parts.push(keyRow(key));
    if (key.name === 'rights.identities') parts.push(identities());
  }
  return parts.join('');
}

function keyRow(key: Key): string {
  const reload = key.reload === true ? ' ↻' : '';
  const names = [key.flag, key.environment].flatMap((name) => (name === undefined ? [] : code(name))).join('<br>');
  const value = 'text' in key.default ? code(key.default.text) : cell(key.default.derived);
  return `| ${code(key.name)}${reload}<br>${code(valueForm(key))} | ${names === '' ? 'file only' : names} | ${value} | ${cell(key.help)} |\n`;
}

function valueForm({ shape, placeholder }: KeyForm): string {
  if (shape === 'list') return `[${placeholder}, ...]`;
  return shape === 'pairs' ? `{NAME: ${placeholder}, ...}` : placeholder;
}

/** What an address of `listen` may have of its own. */
function addresses(): string {
  const element = lookInto(serveSchema.shape.listen).element;
  const rows = [...(element === undefined ? [] : (lookInto(element).members ?? []))].flatMap(([name, member]) => memberRows(name, member));
  return [
    '\nAn address in `listen` may have settings of its own, in the file:\n\n',
    '```yaml\nlisten:\n  - 0.0.0.0:9092\n  - address: 127.0.0.1:9093\n    tls: false\n    message-size: 16MiB\n```\n\n',
    '| Key and value | Meaning |\n|---|---|\n',
    ...rows,
  ].join('');
}

/** What an identity consists of. */
function identities(): string {
  const rows: string[] = [];
  const { members } = lookInto(identitySchema);
  for (const [name, member] of members ?? []) rows.push(...memberRows(name, member));
  return [
    '\nAn identity, in `rights.identities` and in the tokens file:\n\n',
    '```yaml\n- name: ci\n  tokens: ["sha256:0f3c..."]          # of kiln token create\n  grants:\n    - instances: ["*"]\n      rights: [read, write]\n```\n\n',
    '| Key and value | Meaning |\n|---|---|\n',
    ...rows,
  ].join('');
}

function memberRows(name: string, member: Parameters<typeof lookInto>[0]): string[] {
  const { key, element, required } = lookInto(member);
  if (key === undefined) return [];
  const nested = element === undefined ? undefined : lookInto(element).members;
  const below = [...(nested ?? [])].flatMap(([inner, schema]) => memberRows(`${name}.${inner}`, schema));
  return [`| ${code(name)}<br>${code(valueForm(key))} | ${cell(key.help)}${required ? ' Required.' : ''} |\n`, ...below];
}

function code(text: string): string {
  return `\`${cell(text)}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
