// How Debian's Bazel 4.2.3 is run. Debian packages no rules that fit it, so it is given stand-ins of a few lines.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bazel } from '../e2e/bazel-workspace.ts';
import { installedTool } from './installed-tool.ts';

const wrapped = ['cc_binary', 'cc_library', 'cc_test', 'cc_import', 'cc_proto_library', 'cc_toolchain', 'cc_toolchain_suite', 'objc_library'];
const standIns: Readonly<Record<string, string>> = {
  'rules_cc/WORKSPACE': '',
  'rules_cc/BUILD': '',
  'rules_cc/cc/BUILD': '',
  'rules_cc/cc/defs.bzl': wrapped.map((rule) => `def ${rule}(**attributes):\n    native.${rule}(**attributes)\n`).join('\n'),
  'remote_coverage_tools/WORKSPACE': '',
  'remote_coverage_tools/BUILD': ['coverage_report_generator', 'lcov_merger'].map((name) => `filegroup(name = "${name}", visibility = ["//visibility:public"])\n`).join(''),
};

/** Its stand-ins are put below `directory`. */
export function debianBazel(directory: string): Bazel {
  for (const [path, text] of Object.entries(standIns)) {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  const overrides = Object.entries({ rules_java: '/usr/share/bazel/rules/java', rules_cc: join(directory, 'rules_cc'), remote_coverage_tools: join(directory, 'remote_coverage_tools') });
  return {
    program: installedTool('bazel', 'apt-get install bazel-bootstrap bazel-rules-java'),
    startUp: ['--nohome_rc', '--noworkspace_rc'], // the system's names the installation that Debian unpacked
    flags: ['--nosandbox_debug', ...overrides.map(([name, path]) => `--override_repository=${name}=${path}`)],
  };
}

/** Actions that Bazel carries out itself are no business of a cache. */
export function withoutInternal(processes: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(processes).filter(([kind]) => kind !== 'internal'));
}
