// What is shipped for service managers and container platforms, as far as it can be judged without them; the rest is
// judged by their own programs in test/e2e-ci/packaging.test.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { runKiln, temporaryDirectory } from '../src/testing/kiln-process.ts';

const packaging = resolve(import.meta.dirname, '../packaging');
const read = (path: string): string => readFileSync(join(packaging, path), 'utf8');

/** What the end of a server takes at most by its defaults, and what is kept for a scheduler; seconds. */
async function longestEnd(t: TestContext): Promise<number> {
  const { out } = await runKiln(['config', 'print', '--data', await temporaryDirectory(t)]);
  const seconds = (key: string): number => Number(new RegExp(`\\b${key}: (\\d+)s`).exec(out)?.[1] ?? Number.NaN);
  const [timeout, listener, flush] = [seconds('timeout'), seconds('listener-timeout'), seconds('flush-timeout')];
  assert.deepEqual([timeout, listener, flush], [35, 30, 30], out);
  return Math.max(timeout, listener) + flush + 20;
}

describe('systemd units', () => {
  const unit = read('systemd/kiln.service');
  const setting = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1];

  it('K10-03: leaves time for the end, and kills what is left', async (t) => {
    assert.equal(setting('KillMode'), 'mixed');
    assert.equal(setting('TimeoutStopSec'), '90');
    assert.ok((await longestEnd(t)) < Number(setting('TimeoutStopSec')), '35 + 30 + 20 < 90');
  });

  it('knows how Kiln ends and what it reports', () => {
    assert.equal(setting('SuccessExitStatus'), '130 143');
    assert.equal(setting('RestartPreventExitStatus'), '2');
    assert.equal(setting('Type'), 'notify');
    assert.match(setting('ExecReload') ?? '', /-HUP \$MAINPID$/);
    assert.equal(setting('MemoryDenyWriteExecute'), undefined, 'the runtime compiles');
  });

  it('ships a configuration without mistakes', async () => {
    const { status, errors } = await runKiln(['config', 'check', '--config', join(packaging, 'systemd/kiln.yaml')]);
    assert.equal(status, 0, errors);
  });
});

interface Container {
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly volumeMounts: readonly { readonly mountPath: string }[];
  readonly [probe: `${string}Probe`]: { readonly httpGet: { readonly path: string; readonly port: string } };
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly enableServiceLinks: boolean;
  readonly containers: readonly [Container];
}

/** The documents of the manifest, by kind. */
function manifest() {
  const documents = parseAllDocuments(read('kubernetes/kiln.yaml')).map((document) => document.toJS() as { kind: string });
  const of = (kind: string): unknown => documents.find((document) => document.kind === kind);
  const { spec } = of('StatefulSet') as { spec: { template: { spec: PodSpec } } };
  return {
    pod: spec.template.spec,
    config: (of('ConfigMap') as { data: Record<'kiln.yaml', string> }).data['kiln.yaml'],
    tokens: (of('Secret') as { stringData: Record<'tokens.yaml', string> }).stringData['tokens.yaml'],
  };
}

describe('the manifest for Kubernetes', () => {
  const { pod, config, tokens } = manifest();
  const [container] = pod.containers;

  it('K10-01: leaves time for the end', async (t) => {
    assert.ok((await longestEnd(t)) + container.lifecycle.preStop.sleep.seconds <= pod.terminationGracePeriodSeconds);
  });

  it('asks for what is served', () => {
    const paths = ['startup', 'readiness', 'liveness'].map((probe) => container[`${probe}Probe`]?.httpGet);
    assert.deepEqual(paths, [{ path: '/readyz', port: 'kiln' }, { path: '/readyz', port: 'kiln' }, { path: '/livez', port: 'kiln' }]);
    assert.equal(pod.enableServiceLinks, false, 'KILN_PORT would be taken for an option');
  });

  it('holds a configuration and tokens without mistakes, at paths that are mounted', async (t) => {
    const directory = await temporaryDirectory(t);
    await writeFile(join(directory, 'tokens.yaml'), tokens);
    assert.match(config, /tokens-file: \/etc\/kiln-tokens\/tokens\.yaml/);
    await writeFile(join(directory, 'kiln.yaml'), config.replace('/etc/kiln-tokens', directory));
    const { status, errors } = await runKiln(['config', 'check', '--config', join(directory, 'kiln.yaml')]);
    assert.equal(status, 0, errors);
    assert.deepEqual(container.args, ['serve', '--config', '/etc/kiln/kiln.yaml']);
    assert.deepEqual(container.volumeMounts.map(({ mountPath }) => mountPath), ['/data', '/etc/kiln', '/etc/kiln-tokens']);
  });
});

describe('the Dockerfile', () => {
  const text = read('docker/Dockerfile');

  it('ends as a user that is not root, stops by SIGTERM, and asks for what is served', () => {
    const [, final = ''] = text.split(/^FROM .*$/m).slice(-2);
    assert.match(final, /^USER \d{2,}:\d{2,}$/m);
    assert.match(final, /^STOPSIGNAL SIGTERM$/m);
    assert.match(final, /^HEALTHCHECK [^]*\/readyz/m);
    assert.match(final, /^VOLUME \/data$/m);
    assert.match(final, /^ENTRYPOINT \["\/opt\/kiln\/bin\/kiln"\]$/m);
  });

  it('runs on the Node that the package asks for', () => {
    const images = [...text.matchAll(/^FROM node:(\d+)/gm)].map(([, major]) => major);
    const wanted = /^node_major_min=(\d+)$/m.exec(readFileSync(resolve(packaging, '../bin/kiln'), 'utf8'))?.[1];
    assert.deepEqual(images, [wanted, wanted]);
  });
});
