// A moon workspace: tasks that depend on each other, with large, empty and nested outputs, stdout and stderr.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeTree, removeTree } from './file-tree.ts';
import { mustRun, startTool } from './tool-run.ts';
import type { StartedTool, ToolRun } from './tool-run.ts';

const wideTasks = 8;

/** What one run did. */
export interface MoonResult extends ToolRun {
  /** Tasks by how moon got their outputs: "passed", "cached", "cached-from-remote", ... */
  readonly tasks: Readonly<Record<string, number>>;
}

interface RunReport {
  readonly actions: readonly { readonly label: string; readonly status: string }[];
}

/** \`marker\` is created by the slow task when it begins. */
function projectFile(marker: string): string {
  const wide = Array.from({ length: wideTasks }, (_, index) => `
  wide${index}:
    script: 'mkdir -p out/wide${index} && sed s/seed/${index}/ seed.txt > out/wide${index}/a.txt && echo out ${index} && echo err ${index} >&2'
    inputs: ['seed.txt']
    outputs: ['out/wide${index}']`);
  return `tasks:${wide.join('')}
  first:
    script: 'mkdir -p out/first && cat seed.txt > out/first/a.txt'
    inputs: ['seed.txt']
    outputs: ['out/first']
  slow:
    script: 'touch ${marker}; sleep 2; mkdir -p out/slow && cat out/first/a.txt > out/slow/a.txt'
    deps: ['first']
    inputs: ['seed.txt']
    outputs: ['out/slow']
  big:
    script: 'mkdir -p out/big/deep/er && seq 1 900000 > out/big/deep/er/big.txt && : > out/big/empty && seq 1 3000'
    inputs: ['seed.txt']
    outputs: ['out/big']
  all:
    script: 'mkdir -p out/all && cat out/wide*/a.txt out/slow/a.txt > out/all/a.txt'
    deps: [${Array.from({ length: wideTasks }, (_, index) => `'wide${index}', `).join('')}'slow', 'big']
    inputs: ['seed.txt']
    outputs: ['out/all']
`;
}

/** One workspace below `directory`. */
export class MoonWorkspace {
  readonly tasks = wideTasks + 4;
  readonly marker: string;
  readonly #program: string;
  readonly #directory: string;
  #token: string | undefined;

  private constructor(program: string, directory: string) {
    this.#program = program;
    this.#directory = directory;
    this.marker = join(directory, 'slow-task-began');
  }

  /** Makes the workspace, in a git repository: without one moon never asks a remote cache, and says nothing. `project` takes the place of its tasks. */
  static async create(program: string, directory: string, project?: string): Promise<MoonWorkspace> {
    const workspace = new MoonWorkspace(program, directory);
    workspace.#write('app/moon.yml', project ?? projectFile(workspace.marker));
    workspace.#write('app/seed.txt', 'seed\n');
    workspace.#write('.gitignore', '.moon/cache\nout\n');
    workspace.#write('.moon/workspace.yml', "projects: ['app']\ntelemetry: false\n");
    const git = ['git', '-c', 'user.name=Ada', '-c', 'user.email=ada@example.net', '-c', 'commit.gpgsign=false'] as const;
    for (const words of [['init', '-q', '-b', 'main'], ['add', '.'], ['commit', '-q', '-m', 'A workspace']]) {
      await mustRun([...git, ...words], { cwd: workspace.#root, env: workspace.#environment });
    }
    return workspace;
  }

  get #root(): string {
    return join(this.#directory, 'workspace');
  }

  get #environment(): Readonly<Record<string, string>> {
    const token = this.#token === undefined ? {} : { CACHE_TOKEN: this.#token };
    return { HOME: this.#directory, NO_COLOR: '1', GIT_CONFIG_NOSYSTEM: '1', ...token };
  }

  /** Points the workspace at the cache at `url`, grpc:// or http://, without compression; `token` goes into a variable. */
  useCache(url: string, token?: string): void {
    this.#token = token;
    const api = url.startsWith('http') ? 'http' : 'grpc';
    const auth = token === undefined ? '' : "  auth:\n    token: 'CACHE_TOKEN'\n";
    this.#write(
      '.moon/workspace.yml',
      `projects: ['app']\ntelemetry: false\nremote:\n  host: '${url}'\n  api: '${api}'\n  cache:\n    instanceName: 'moon-outputs'\n    compression: 'none'\n${auth}`,
    );
  }

  /** Runs every task. A failed run is the caller's to judge. */
  async run(flags: readonly string[] = []): Promise<MoonResult> {
    return this.result(await this.start(flags).ended);
  }

  /** A run that the caller interferes with; `result` counts its tasks once it has ended. */
  start(flags: readonly string[] = []): StartedTool {
    return startTool([this.#program, 'run', 'app:all', '--concurrency', '4', ...flags], { cwd: this.#root, env: this.#environment });
  }

  result(run: ToolRun): MoonResult {
    const reportFile = join(this.#root, '.moon/cache/runReport.json');
    const tasks: Record<string, number> = {};
    if (existsSync(reportFile)) {
      const { actions } = JSON.parse(readFileSync(reportFile, 'utf8')) as RunReport;
      for (const { label, status } of actions) if (label.startsWith('RunTask')) tasks[status] = (tasks[status] ?? 0) + 1;
    }
    return { ...run, tasks };
  }

  /** Everything local is gone: outputs, moon's own cache, and what it keeps in the home directory. */
  forget(): void {
    for (const path of ['app/out', '.moon/cache']) removeTree(join(this.#root, path));
    removeTree(join(this.#directory, '.cache'));
  }

  outputs(): Readonly<Record<string, string>> {
    return describeTree(join(this.#root, 'app/out'));
  }

  #write(path: string, text: string): void {
    const full = join(this.#root, path);
    mkdirSync(join(full, '..'), { recursive: true });
    writeFileSync(full, text);
  }
}
