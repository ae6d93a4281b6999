// A Bazel workspace that uses what a cache must get right: many small actions, a chain, large and empty outputs,
// programs, whole directories, stdout and stderr. Needs no network and no toolchain but a shell.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeTree, removeTree } from './file-tree.ts';
import { startTool } from './tool-run.ts';
import type { StartedTool, ToolRun } from './tool-run.ts';

const wideTargets = 40;
const chainTargets = 12;
/** The link of the chain that waits long enough to be interrupted. */
const slowLink = 6;

const rules = `
def _tree(ctx):
    out = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run_shell(
        inputs = ctx.files.srcs,
        outputs = [out],
        arguments = [out.path] + [f.path for f in ctx.files.srcs],
        command = 'out=$1; shift; mkdir -p "$out/a/b" "$out/c"; cat "$@" > "$out/a/all.txt"; printf deep > "$out/a/b/deep"; : > "$out/c/empty"; chmod +x "$out/a/b/deep"',
    )
    return [DefaultInfo(files = depset([out]))]

tree = rule(implementation = _tree, attrs = {"srcs": attr.label_list(allow_files = True)})
`;

/** \`marker\` is created by the slow link when it begins. */
const buildFile = (marker: string): string => `
load(":rules.bzl", "tree")

[genrule(
    name = "wide%d" % i,
    srcs = ["seed.txt"],
    outs = ["wide%d.txt" % i],
    cmd = "sed s/seed/%d/ $< > $@; echo out %d; echo err %d >&2" % (i, i, i),
) for i in range(${wideTargets})]

[genrule(
    name = "chain%d" % i,
    srcs = ["seed.txt"] if i == 0 else ["chain%d.txt" % (i - 1)],
    outs = ["chain%d.txt" % i],
    cmd = ("touch '${marker}'; sleep 2; " if i == ${slowLink} else "") + "(cat $<; echo link %d) > $@" % i,
) for i in range(${chainTargets})]

# Over 4 MiB, so that it goes by ByteStream; seven times the same large blob would be one upload.
[genrule(name = "big%d" % i, outs = ["big%d.txt" % i], cmd = "seq %d 900000 > $@" % i) for i in range(3)]

genrule(name = "empty", outs = ["empty.txt"], cmd = ": > $@")
genrule(name = "chatty", outs = ["chatty.txt"], cmd = "seq 1 30000; seq 1 30000 >&2; echo done > $@")
genrule(name = "program", outs = ["program.sh"], cmd = "echo 'echo hi' > $@; chmod +x $@", executable = True)
tree(name = "tree", srcs = ["seed.txt", ":chain${chainTargets - 1}"])
genrule(name = "reads_tree", srcs = [":tree"], outs = ["tree-sum.txt"], cmd = "cat $(location :tree)/a/all.txt $(location :tree)/a/b/deep > $@")
`;

/** What one build did. */
export interface BuildResult extends ToolRun {
  /** Actions by how they were carried out: "remote cache hit", "local", ... */
  readonly processes: Readonly<Record<string, number>>;
}

/** A Bazel and how it is started. */
export interface Bazel {
  readonly program: string;
  /** Options before the command, beside those that every start needs. */
  readonly startUp: readonly string[];
  /** Options after the command. */
  readonly flags: readonly string[];
}

/** The Bazel of npm, unpacked once below `directory`, blind to the configuration of user and machine. */
export function npmBazel(program: string, directory: string): Bazel {
  return { program, startUp: ['--nohome_rc', '--nosystem_rc', '--noworkspace_rc', `--install_base=${join(directory, 'install')}`], flags: [] };
}

/** One workspace and everything Bazel keeps for it, below `directory`. */
export class BazelWorkspace {
  /** What a build without any cache runs. */
  readonly actions = wideTargets + chainTargets + 8;
  readonly marker: string;
  readonly #bazel: Bazel;
  readonly #directory: string;

  /** `files` are added to the workspace or replace files of it. */
  constructor(bazel: Bazel, directory: string, files: Readonly<Record<string, string>> = {}) {
    this.#bazel = bazel;
    this.#directory = directory;
    this.marker = join(directory, 'slow-link-began');
    const standard = { WORKSPACE: '', 'rules.bzl': rules, BUILD: buildFile(this.marker), 'seed.txt': 'seed\n' };
    for (const [path, text] of Object.entries({ ...standard, ...files })) {
      const full = join(directory, 'workspace', path);
      mkdirSync(join(full, '..'), { recursive: true });
      writeFileSync(full, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
    }
  }

  get #outputRoot(): string {
    return join(this.#directory, 'output-root');
  }

  /** Builds everything against the cache at `url` (grpc:// or http://). A failed build is the caller's to judge. */
  async build(url: string, flags: readonly string[] = []): Promise<BuildResult> {
    const run = await this.start(url, flags).ended;
    return { ...run, processes: processesOf(run.output) };
  }

  /** A build that the caller interferes with. */
  start(url: string, flags: readonly string[] = []): StartedTool {
    return this.#run('build', [`--remote_cache=${url}`, ...flags]);
  }

  /** `bazel test` of everything. */
  async test(url: string): Promise<BuildResult> {
    const run = await this.#run('test', [`--remote_cache=${url}`]).ended;
    return { ...run, processes: processesOf(run.output) };
  }

  /** Everything local is gone: the next build has nothing but the cache. */
  forget(): void {
    removeTree(this.#outputRoot);
  }

  /** The outputs of the last build, for comparing. */
  outputs(): Readonly<Record<string, string>> {
    const base = readdirSync(this.#outputRoot).map((name) => join(this.#outputRoot, name, 'execroot/__main__/bazel-out')).find((path) => existsSync(path));
    const configuration = base === undefined ? undefined : readdirSync(base).find((name) => name.endsWith('-fastbuild'));
    if (base === undefined || configuration === undefined) throw new Error(`no outputs below ${this.#outputRoot}`);
    return describeTree(join(base, configuration, 'bin'));
  }

  #run(command: 'build' | 'test', flags: readonly string[]): StartedTool {
    // In batch mode no server stays behind. Short builds end sooner without the second compiler and its threads.
    const startUp = [...this.#bazel.startUp, '--batch', '--host_jvm_args=-XX:TieredStopAtLevel=1', '--host_jvm_args=-XX:+UseSerialGC', `--output_user_root=${this.#outputRoot}`];
    // Without a sandbox, which not every machine offers; without bazel-* links, which would be part of //... .
    const common = ['//...', '--symlink_prefix=/', '--spawn_strategy=local', '--jobs=8', '--noshow_progress', '--color=no', '--curses=no'];
    return startTool([this.#bazel.program, ...startUp, command, ...common, ...this.#bazel.flags, ...flags], {
      cwd: join(this.#directory, 'workspace'),
      env: { HOME: this.#directory },
    });
  }
}

/** Reads Bazel's own count: "INFO: 7 processes: 5 remote cache hit, 2 local." */
function processesOf(output: string): Readonly<Record<string, number>> {
  const list = /^INFO: \d+ process(?:es)?: (.+)\.$/m.exec(output)?.[1] ?? '';
  return Object.fromEntries(list.split(', ').flatMap((part) => {
    const [, count, kind] = /^(\d+) (.+)$/.exec(part) ?? [];
    return count === undefined || kind === undefined ? [] : [[kind, Number(count)]];
  }));
}
