// testssl.sh against the TLS port of the real server: protocols, ciphers, forward secrecy, what the handshake tells, the
// HTTP headers, and every attack it knows.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runTool } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';
import { startTlsDaemon } from './tls-daemon.ts';

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** What is not Kiln's to answer for; everything else above "low" is a failure. */
const notOurs: Readonly<Record<string, string>> = {
  cert_revocation: 'the authority of the test names no list of revoked certificates; that of an operator may',
  engine_problem: 'about the openssl that the scan itself runs on',
};
const harmless = new Set(['OK', 'INFO', 'LOW']);
/** A whole scan has about 90; far fewer means that it broke off. */
const findingsMin = 80;

describe('testssl.sh', () => {
  it('finds nothing above "low"', async (t) => {
    const daemon = await startTlsDaemon(t);
    const report = join(daemon.directory, 'report.json');
    const program = installedTool('testssl', 'apt-get install testssl.sh');
    const parts = ['--protocols', '--std', '--pfs', '--server-preference', '--server-defaults', '--headers', '--vulnerable'];
    const { tail } = await runTool([program, '--quiet', '--color=0', '--warnings=off', `--add-ca=${daemon.caFile}`, `--jsonfile=${report}`, ...parts, `${daemon.host}:${daemon.port}`], { cwd: daemon.directory, env: { HOME: daemon.directory } });
    const findings = JSON.parse(readFileSync(report, 'utf8')) as Finding[];
    assert.ok(findings.length >= findingsMin, `${findings.length} findings: ${tail}`);
    assert.deepEqual(findings.filter(({ id, severity }) => !harmless.has(severity) && notOurs[id] === undefined), []);
    const of = (id: string): string | undefined => findings.find((one) => one.id === id)?.finding;
    assert.deepEqual(['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2', 'TLS1_3'].map((id) => of(id)?.replace(/ .*/, '')), ['not', 'not', 'not', 'not', 'offered', 'offered'], tail);
    await daemon.stop();
  });
});
