// The mistakes that people make in a configuration, and the answer to each: where it is, the value, and the fix. The
// list was written before the code; whoever meets a mistake with a bad answer adds a row.
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readSmallFile } from '../platform/small-file.ts';
import { temporaryDirectory } from '../testing/kiln-process.ts';
import { readConfiguration } from './read-configuration.ts';
import type { StartContext } from './start-context.ts';

/** What stands in files; `/kiln.yaml` is the configuration. */
type Files = Readonly<Record<string, string | Uint8Array>>;

interface Given {
  readonly args?: readonly string[];
  readonly environment?: StartContext['environment'];
  readonly files?: Files;
}

async function mistakesOf({ args = [], environment = {}, files = {} }: Given): Promise<readonly string[]> {
  const named = '/kiln.yaml' in files ? ['--config', '/kiln.yaml'] : [];
  const context = { args: [...named, ...args], environment: { HOME: '/home/ada', ...environment }, workingDirectory: '/here', platform: 'linux' };
  const read = await readConfiguration('serve', context, async (path) => {
    const content = files[path];
    if (content === undefined) return readSmallFile(path, 1_000_000);
    return typeof content === 'string' ? new TextEncoder().encode(content) : content;
  });
  return 'mistakes' in read ? read.mistakes.map(({ problem, advice }) => `${problem}\n${advice}`) : [];
}

/** Name, what the file says, and both lines of the answer. */
type FileRow = readonly [name: string, yaml: string, problem: string, advice: string];

const names: readonly FileRow[] = [
  ['a typo in a key of the top level', 'max-sise: 10GiB', '/kiln.yaml:1:1: unknown key "max-sise"', 'did you mean max-size? example: max-size: 10GiB'],
  ['an underscore for a hyphen', 'max_size: 10GiB', '/kiln.yaml:1:1: unknown key "max_size"', 'did you mean max-size? example: max-size: 10GiB'],
  ['camel case', 'readyFile: /r', '/kiln.yaml:1:1: unknown key "readyFile"', 'did you mean ready-file? example: ready-file: /run/kiln/ready.json'],
  ['capitals', 'Data: /d', '/kiln.yaml:1:1: unknown key "Data"', 'did you mean data? example: data: /var/cache/kiln'],
  ['a typo in the name of a group', 'limit:\n  streams: 1', '/kiln.yaml:1:1: unknown key "limit"', 'did you mean limits?'],
  ['a typo in a key of a group', 'drain:\n  timout: 5s', '/kiln.yaml:2:3: unknown key "drain.timout"', 'did you mean timeout? example: timeout: 35s'],
  ['a key of a group at the top level', 'level: debug', '/kiln.yaml:1:1: unknown key "level"', 'level belongs below log: write log: {level: debug}'],
  ['a list of a group at the top level', 'identities: []', '/kiln.yaml:1:1: unknown key "identities"', 'identities belongs below rights: write rights: {identities: [{name: ci, tokens: [sha256:HEX], grants: [{instances: ["*"], rights: [read, write]}]}]}'],
  ['a dotted key', 'log.level: debug', '/kiln.yaml:1:1: unknown key "log.level"', 'level belongs below log: write log: {level: debug}'],
  ['a flag as a key', 'drain-timeout: 5s', '/kiln.yaml:1:1: unknown key "drain-timeout"', 'timeout belongs below drain: write drain: {timeout: 35s}'],
  ['the name of the file in the file', 'config: /kiln.yaml', '/kiln.yaml:1:1: unknown key "config"', 'known here: listen, allowed-hosts, data, max-size, durability, lease, leases, low-watermark, max-age, max-entries, small-blob-max, min-free-space, allow-anonymous, ready-file, rights, tls, drain, log, metrics, traces, diagnostics, limits'],
  ['a typo deep in a list', 'rights:\n  identities:\n    - name: ci\n      grants:\n        - instance: ["*"]\n          rights: [read]', '/kiln.yaml:5:11: unknown key "rights.identities.grants.instance"', 'did you mean instances? example: instances: ["team/*"]'],
  ['a key given twice', 'data: /a\ndata: /b', '/kiln.yaml:2:1: "data" is given twice in the same place; the first is on line 1', 'remove one of the two'],
  ['a merge key', '<<: {data: /d}', '/kiln.yaml:1:1: unknown key "<<"', 'merge keys of YAML are not read here: write the keys themselves'],
  ['what other programs call it', 'port: 9092', '/kiln.yaml:1:1: unknown key "port"', 'did you mean listen? example: listen: [127.0.0.1:9092]'],
  ['what other programs have at the top level', 'users: /u', '/kiln.yaml:1:1: unknown key "users"', 'htpasswd-file belongs below rights: write rights: {htpasswd-file: /etc/kiln/htpasswd}'],
  ['a key of a group in a group', 'header-timeout: 1s', '/kiln.yaml:1:1: unknown key "header-timeout"', 'header-timeout belongs below limits.http1: write limits: {http1: {header-timeout: 30s}}'],
  ['the beginning of a key', 'tls: {cert: /c}', '/kiln.yaml:1:7: unknown key "tls.cert"', 'did you mean certificate? example: certificate: /etc/kiln/tls/fullchain.pem'],
  ['the last word of a key', 'tls: {ca: /c}', '/kiln.yaml:1:7: unknown key "tls.ca"', 'did you mean client-ca? example: client-ca: /etc/kiln/tls/clients.pem'],
  ['more words than the key has', 'tls: {private-key: /k}', '/kiln.yaml:1:7: unknown key "tls.private-key"', 'did you mean key? example: key: /etc/kiln/tls/privkey.pem'],
  ['a word that several keys share', 'limits: {timeout: 5s}', '/kiln.yaml:1:10: unknown key "limits.timeout"', 'did you mean one of first-bytes-timeout, stall-timeout, busy-stall-timeout, tls-handshake-timeout?'],
  ['rights without a grant', 'rights: {identities: [{name: ci, rights: [read]}]}', '/kiln.yaml:1:34: unknown key "rights.identities.rights"', 'rights belongs below grants: write grants: [{instances: ["*"], rights: [read, write]}]'],
];

const units: readonly FileRow[] = [
  ['a size without a unit', 'max-size: 10', '/kiln.yaml:1:11: max-size: "10" has no unit (B, KiB, MiB, GiB, TiB, KB, MB, GB or TB)', 'example: max-size: 10GiB'],
  ['a unit that is none', 'max-size: 10G', '/kiln.yaml:1:11: max-size: "10G" has the unknown unit "G" (known: B, KiB, MiB, GiB, TiB, KB, MB, GB or TB)', 'example: max-size: 10GiB'],
  ['a unit of time for a size', 'max-size: 10h', '/kiln.yaml:1:11: max-size: "10h" has the unknown unit "h" (known: B, KiB, MiB, GiB, TiB, KB, MB, GB or TB)', 'example: max-size: 10GiB'],
  ['a negative size', 'max-size: -1GiB', '/kiln.yaml:1:11: max-size: "-1GiB" is not a size', 'example: max-size: 10GiB'],
  ['no size at all', 'max-size: 0B', '/kiln.yaml:1:11: max-size: "0B" is too small; the least is 1MiB', 'example: max-size: 10GiB'],
  ['a size in another unit than meant', 'max-size: 100KiB', '/kiln.yaml:1:11: max-size: "100KiB" is too small; the least is 1MiB', 'example: max-size: 10GiB'],
  ['a size that no disk has', 'max-size: 9999999TiB', '/kiln.yaml:1:11: max-size: the size "9999999TiB" is too large', 'example: max-size: 10GiB'],
  ['a decimal comma', 'max-size: 1,5GiB', '/kiln.yaml:1:11: max-size: "1,5GiB" is not a size', 'example: max-size: 10GiB'],
  ['yes for a size', 'max-size: true', '/kiln.yaml:1:11: max-size: "true" is not a size', 'example: max-size: 10GiB'],
  ['a duration without a unit', 'drain: {timeout: 35}', '/kiln.yaml:1:18: drain.timeout: "35" has no unit (ms, s, m, h or d)', 'example: timeout: 35s'],
  ['a unit that is written out', 'drain:\n  timeout: 2 minutes', '/kiln.yaml:2:12: drain.timeout: "2 minutes" has the unknown unit "minutes" (known: ms, s, m, h or d)', 'example: timeout: 35s'],
  ['a duration that is too long', 'diagnostics: {profile-duration: 1h}', '/kiln.yaml:1:33: diagnostics.profile-duration: "1h" is too large; the most is 5m', 'example: profile-duration: 10s'],
  ['a number with a leading zero', 'limits: {connections: 0777}', '/kiln.yaml:1:23: limits.connections: "0777" begins with a zero; write the number without it', 'example: connections: 4096'],
  ['a number in hexadecimal', 'limits: {connections: 0x100}', '/kiln.yaml:1:23: limits.connections: "0x100" is not a whole number', 'example: connections: 4096'],
  ['a number with an exponent', 'limits: {connections: 1e3}', '/kiln.yaml:1:23: limits.connections: "1e3" is not a whole number', 'example: connections: 4096'],
  ['a number that is zero', 'limits: {streams: 0}', '/kiln.yaml:1:19: limits.streams: "0" is too small; the least is 1', 'example: streams: 256'],
  ['a number that is too large', 'limits: {streams: 100000}', '/kiln.yaml:1:19: limits.streams: "100000" is too large; the most is 10000', 'example: streams: 256'],
  ['a percentage for a ratio', 'traces: {sample-ratio: 1%}', '/kiln.yaml:1:24: traces.sample-ratio: "1%" is a percentage; as a ratio it is 0.01', 'example: sample-ratio: 0.01'],
  ['a ratio above one', 'traces: {sample-ratio: 1.5}', '/kiln.yaml:1:24: traces.sample-ratio: "1.5" is not a ratio from 0 to 1', 'example: sample-ratio: 0.01'],
  ['a ratio for a percentage', 'diagnostics: {profile-cpu: 0.95}', '/kiln.yaml:1:28: diagnostics.profile-cpu: "0.95" has no percent sign', 'example: profile-cpu: 95%'],
  ['more than all', 'diagnostics: {profile-cpu: 120%}', '/kiln.yaml:1:28: diagnostics.profile-cpu: "120%" is more than 100%', 'example: profile-cpu: 95%'],
  ['another word for true', 'metrics: {enabled: yes}', '/kiln.yaml:1:20: metrics.enabled: "yes" is not read as a yes or no; write true', 'example: enabled: false'],
  ['another word for false', 'metrics: {enabled: Off}', '/kiln.yaml:1:20: metrics.enabled: "Off" is not read as a yes or no; write false', 'example: enabled: false'],
  ['several units in one', 'drain: {timeout: 1m30s}', '/kiln.yaml:1:18: drain.timeout: "1m30s" has several units; write one number with one unit (ms, s, m, h or d)', 'example: timeout: 35s'],
];

const forms: readonly FileRow[] = [
  ['one value for a list', 'listen: 9092', '/kiln.yaml:1:9: listen: is the value "9092", but should be a list', 'example: listen: [127.0.0.1:9092]'],
  ['a list for one value', 'data: [/a, /b]', '/kiln.yaml:1:7: data: is a list, but should be one value', 'example: data: /var/cache/kiln'],
  ['a group for one value', 'data:\n  directory: /d', '/kiln.yaml:2:3: data: is a group of keys, but should be one value', 'example: data: /var/cache/kiln'],
  ['one value for a group', 'log: debug', '/kiln.yaml:1:6: log: is the value "debug", but should be a group of keys', 'write its keys on lines of their own below it, indented: level, format, summary-interval'],
  ['a list for names with values', 'traces:\n  headers: [authorization]', '/kiln.yaml:2:12: traces.headers: is a list, but should be names with a value each', 'example: headers: {authorization: Bearer SECRET}'],
  ['a name without a value', 'data:', '/kiln.yaml:1:6: data: has no value', 'example: data: /var/cache/kiln'],
  ['null', 'max-size: ~', '/kiln.yaml:1:11: max-size: has no value', 'example: max-size: 10GiB'],
  ['a list in a list', 'listen: [[127.0.0.1:9092]]', '/kiln.yaml:1:10: listen: is a list, but should be one value or a group of keys', 'example: listen: [127.0.0.1:9092]'],
  ['a group for one of several names', 'traces:\n  headers: {authorization: {Bearer: topsecret}}', '/kiln.yaml:2:28: traces.headers.authorization: is a group of keys, but should be one value', 'example: headers: {authorization: Bearer SECRET}'],
  ['a token in the place of a list of hashes', 'rights:\n  identities:\n    - {name: ci, tokens: kiln_topsecret}', '/kiln.yaml:3:26: rights.identities.tokens: is one value, but should be a list', 'example: tokens: [sha256:HEX]'],
  ['a token in the place of an identity', 'rights: {identities: [kiln_topsecret]}', '/kiln.yaml:1:23: rights.identities: is one value, but should be a group of keys', 'write its keys on lines of their own below it, indented: name, tokens, certificates, grants'],
  ['a list at the top', '- listen: [127.0.0.1:9092]', '/kiln.yaml:1:1: is a list, but should be a group of keys', 'write "name: value"'],
  ['a text at the top, with no space after the colon', 'data:/var/cache', '/kiln.yaml:1:1: is the value "data:/var/cache", but should be a group of keys', 'write "name: value"'],
  ['an empty list of rights', 'rights: {identities: [{name: ci, grants: [{instances: ["*"], rights: []}]}]}', '/kiln.yaml:1:70: rights.identities.grants.rights: the list is empty', 'example: rights: [read]'],
  ['an identity without a name', 'rights:\n  identities:\n    - tokens: []', '/kiln.yaml:3:7: rights.identities: name is missing', 'add it: name: ci'],
];

const values: readonly FileRow[] = [
  ['a port alone', 'listen: [9092]', '/kiln.yaml:1:10: listen: "9092" is not an address: the host is missing', 'example: listen: [127.0.0.1:9092]'],
  ['a host alone', 'listen: [localhost]', '/kiln.yaml:1:10: listen: "localhost" is not an address: the port is missing', 'example: listen: [127.0.0.1:9092]'],
  ['a port out of range', 'listen: ["127.0.0.1:70000"]', '/kiln.yaml:1:10: listen: "127.0.0.1:70000" has port 70000; ports end at 65535', 'example: listen: [127.0.0.1:9092]'],
  ['IPv6 without brackets', 'listen: ["::1:9092"]', '/kiln.yaml:1:10: listen: "::1:9092" is not an address: an IPv6 address goes into brackets, as in [::1]:9092', 'example: listen: [127.0.0.1:9092]'],
  ['a URL for an address', 'listen: [http://localhost:9092]', '/kiln.yaml:1:10: listen: "http://localhost:9092" is not an address: leave out http://', 'example: listen: [127.0.0.1:9092]'],
  ['a socket without its path', 'listen: ["unix:"]', '/kiln.yaml:1:10: listen: "unix:" names no path after "unix:"', 'example: listen: [127.0.0.1:9092]'],
  ['an empty path', 'data: ""', '/kiln.yaml:1:7: data: "" is not a path', 'example: data: /var/cache/kiln'],
  ['a path that only a shell understands', 'data: ~/cache', '/kiln.yaml:1:7: data: "~/cache" begins with ~, which only a shell replaces; write the whole path', 'example: data: /var/cache/kiln'],
  ['the content of a file for its path', 'tls:\n  key: |\n    -----BEGIN PRIVATE KEY-----\n    c2VjcmV0\n', '/kiln.yaml:2:8: tls.key: what is given (and not shown here) is the content of a file, and should be its path', 'example: key: /etc/kiln/tls/privkey.pem'],
  ['a variable in a path', 'data: $HOME/cache', '/kiln.yaml:1:7: data: "$HOME/cache" begins with a variable, which only a shell replaces; write the whole path', 'example: data: /var/cache/kiln'],
  ['an unknown log level', 'log: {level: warning}', '/kiln.yaml:1:14: log.level: "warning" is none of debug, info, warn, error', 'did you mean warn? example: level: warn'],
  ['an unknown word for what everyone may do', 'allow-anonymous: all', '/kiln.yaml:1:18: allow-anonymous: "all" is none of none, read, write, overwrite', 'example: allow-anonymous: read'],
  ['an unknown right', 'rights: {identities: [{name: ci, grants: [{instances: ["*"], rights: [reed]}]}]}', '/kiln.yaml:1:71: rights.identities.grants.rights: "reed" is none of read, write, overwrite, execute, admin', 'did you mean read? example: rights: [read]'],
  ['a token where its hash belongs', 'rights:\n  identities:\n    - {name: ci, tokens: [kiln_topsecret]}', '/kiln.yaml:3:27: rights.identities.tokens: what is given (and not shown here) is no hash; a token itself does not belong into a configuration', 'example: tokens: [sha256:HEX]'],
  ['a damaged hash', 'rights:\n  identities:\n    - {name: ci, tokens: [sha256:12AB]}', '/kiln.yaml:3:27: rights.identities.tokens: what is given (and not shown here) is not "sha256:" and 64 lower-case hexadecimal digits', 'example: tokens: [sha256:HEX]'],
  ['a pattern in a form that there is not', 'rights: {identities: [{name: ci, grants: [{instances: ["te*m"], rights: [read]}]}]}', '/kiln.yaml:1:56: rights.identities.grants.instances: "te*m" is no pattern for instances: write one name ("main"), all below a name ("team/*"), every instance ("*"), or "" for the one without a name', 'example: instances: ["team/*"]'],
  ['a name with a space', 'rights: {identities: [{name: my ci}]}', '/kiln.yaml:1:30: rights.identities.name: "my ci" is not a name: 1 to 128 characters, and no spaces, colons, commas and quotes', 'example: name: ci'],
  ['a URL without its scheme', 'traces: {endpoint: "localhost:4318"}', '/kiln.yaml:1:20: traces.endpoint: "localhost:4318" is not a URL that begins with http:// or https://', 'example: endpoint: http://127.0.0.1:4318/v1/traces'],
  ['a password in a URL', 'traces: {endpoint: "http://ada:topsecret@host/"}', '/kiln.yaml:1:20: traces.endpoint: a URL here has no user and no password; send them as a header', 'example: endpoint: http://127.0.0.1:4318/v1/traces'],
  ['a header that is none', 'traces: {headers: {"my header": x}}', '/kiln.yaml:1:20: traces.headers: what is given (and not shown here) is not the name of an HTTP header', 'example: headers: {authorization: Bearer SECRET}'],
  ['a URL for a host name', 'allowed-hosts: ["http://cache"]', '/kiln.yaml:1:17: allowed-hosts: "http://cache" is not the name of a host; write it without scheme, port, path and wildcards', 'example: allowed-hosts: [cache.example]'],
  ['a wildcard for a host name', 'allowed-hosts: ["*.example"]', '/kiln.yaml:1:17: allowed-hosts: "*.example" is not the name of a host; write it without scheme, port, path and wildcards', 'example: allowed-hosts: [cache.example]'],
  ['a star for every interface', 'listen: ["*:9092"]', '/kiln.yaml:1:10: listen: "*:9092" is not an address: 0.0.0.0 stands for every interface, [::] for IPv6 as well', 'example: listen: [127.0.0.1:9092]'],
  ['a host that is none', 'listen: ["my host:9092"]', '/kiln.yaml:1:10: listen: "my host:9092" is not an address: "my host" is no host', 'example: listen: [127.0.0.1:9092]'],
  ['an IPv6 address alone', 'listen: ["[::1]"]', '/kiln.yaml:1:10: listen: "[::1]" is not an address: the port is missing', 'example: listen: [127.0.0.1:9092]'],
  ['a colon without a port', 'listen: ["127.0.0.1:"]', '/kiln.yaml:1:10: listen: "127.0.0.1:" is not an address: the port is missing', 'example: listen: [127.0.0.1:9092]'],
  ['a port that is a word', 'listen: [127.0.0.1:http]', '/kiln.yaml:1:10: listen: "127.0.0.1:http" is not an address: the port is not a number', 'example: listen: [127.0.0.1:9092]'],
  ['an IPv4 address that is none', 'listen: [127.0.0.256:9092]', '/kiln.yaml:1:10: listen: "127.0.0.256:9092" is not an address: the numbers of 127.0.0.256 end at 255', 'example: listen: [127.0.0.1:9092]'],
  ['a name in brackets', 'listen: ["[localhost]:9092"]', '/kiln.yaml:1:10: listen: "[localhost]:9092" is not an address: "localhost" is no IPv6 address', 'example: listen: [127.0.0.1:9092]'],
];

const syntax: readonly FileRow[] = [
  ['a tab', 'log:\n\tlevel: debug', '/kiln.yaml:2:1: a tab is used for indentation', 'YAML is indented with spaces: replace the tab'],
  ['a name without a colon', 'data: /d\nmax-size 10GiB\n', '/kiln.yaml:2:1: here is a name without a value', 'write "name: value", with a colon and a space'],
  ['indentation below a value', 'data: /d\n  max-size: 10GiB', '/kiln.yaml:1:7: a value contains ": ", or the next line is indented although it begins no group', 'put a value with ": " into quotes, and let keys of one group begin in the same column'],
  ['indentation that fits nothing', 'log:\n    level: debug\n  format: json', '/kiln.yaml:3:1: the indentation fits no line above', 'keys of one group begin in the same column'],
  ['a list without its end', 'listen: [127.0.0.1:9092\ndata: /d', '/kiln.yaml:2:1: a list in [ ] does not end', 'close it with ]'],
  ['a map without its end', 'log: {level: debug\ndata: /d', '/kiln.yaml:2:1: a map in { } does not end', 'close it with }'],
  ['a quote without its end', 'data: "/d\nlisten: []', '/kiln.yaml:2:11: a quoted text does not end', 'add the closing quote'],
  ['IPv6 without quotes', 'listen:\n  - [::1]:9092', '/kiln.yaml:2:10: an IPv6 address without quotes is read as a list', 'put it into quotes: "[::1]:9092"'],
  ['a star without quotes', 'rights: {identities: [{name: ci, grants: [{instances: [*], rights: [read]}]}]}', '/kiln.yaml:1:56: * begins an alias in YAML', 'put it into quotes: "*"'],
  ['an anchor', 'data: &d /d', '/kiln.yaml:1:7: &d is an anchor of YAML, which is not read here', 'leave it out, and write the value wherever it is needed'],
  ['an alias', 'data: *d', '/kiln.yaml:1:7: *d is an alias of YAML, which is not read here', 'write the value itself here'],
  ['a tag', 'data: !path /d', '/kiln.yaml:1:7: ! begins a tag in YAML, which is not read here', 'leave the tag out, or put the value into quotes'],
  ['two documents', 'data: /d\n---\nlog: {}\n', '/kiln.yaml:2:1: a second document begins here, after ---', 'keep one document per file'],
  ['a backslash between double quotes', 'data: "C:\\kiln"', '/kiln.yaml:1:10: a backslash between double quotes begins an escape, and this is none', 'use single quotes, which leave a backslash alone'],
  ['a percent sign first', 'data: %HOME%', '/kiln.yaml:1:7: a value cannot begin with this character in YAML', 'put the value into quotes'],
  ['JSON with a comment', '{"data": "/d" // here\n}', '/kiln.yaml:1:15: here is something behind a value that has ended', 'begin a comment with #, put commas between elements, and a value with special characters into quotes'],
];

const contradictory: readonly FileRow[] = [
  ['an address for everyone, and no rights', 'listen: ["0.0.0.0:9092"]', '/kiln.yaml:1:1: 0.0.0.0:9092 can be reached from other machines, and nobody has said what they may do', 'give out tokens (kiln token create --file tokens.yaml, and --rights-tokens-file tokens.yaml here), or let everyone in by --allow-anonymous read (download) or --allow-anonymous write (upload as well), or listen on 127.0.0.1'],
  ['nobody who may do anything', 'allow-anonymous: none', '/kiln.yaml:1:1: nobody may do anything: allow-anonymous is none, and there are no identities', 'add identities under rights ("kiln token create" makes a token), or allow-anonymous: read'],
  ['a right to overwrite without the one to write', 'rights: {identities: [{name: ci, grants: [{instances: ["*"], rights: [read, overwrite]}]}]}', '/kiln.yaml:1:10: "ci" may overwrite and not write, so it can store nothing', 'none includes the other: rights: [write, overwrite]'],
  ['a listener that may take longer than all', 'drain:\n  timeout: 10s\n  listener-timeout: 20s', '/kiln.yaml:3:3: drain.listener-timeout is longer than drain.timeout, which ends all listeners', 'make it shorter, or drain.timeout longer'],
  ['batches larger than messages', 'limits:\n  batch-size: 16MiB', '/kiln.yaml:2:3: limits.message-size has no room for a batch of limits.batch-size', 'let limits.message-size be at least 64KiB larger than limits.batch-size'],
  ['less memory than four messages', 'limits:\n  buffered-bytes: 32MiB\n  message-size: 16MiB', '/kiln.yaml:2:3: limits.buffered-bytes has no room for four messages of the largest message-size', 'raise it, or lower message-size'],
  ['a window larger than the one around it', 'limits:\n  http2: {stream-window: 32MiB}', '/kiln.yaml:2:11: limits.http2.stream-window is larger than limits.http2.connection-window, so that one upload could never fill it', 'raise limits.http2.connection-window, or lower limits.http2.stream-window'],
  ['a key of a group in a group', 'limits: {http2: {steam-window: 1MiB}}', '/kiln.yaml:1:18: unknown key "limits.http2.steam-window"', 'did you mean stream-window? example: stream-window: 1MiB'],
  ['a blob larger than the cache', 'max-size: 1GiB\nlimits: {blob-size: 2GiB}', '/kiln.yaml:2:10: limits.blob-size is larger than max-size, so such a blob can never be stored', 'lower limits.blob-size, or raise max-size'],
  ['a profile longer than the time between two', 'diagnostics: {profile-interval: 1m, profile-duration: 2m}', '/kiln.yaml:1:37: diagnostics.profile-duration is not shorter than diagnostics.profile-interval', 'a profile must end before the next may begin; make the interval longer'],
  ['an address given twice', 'listen: ["127.0.0.1:9092", "127.0.0.1:9092"]', '/kiln.yaml:1:1: 127.0.0.1:9092 is given twice', 'give each address once'],
  ['an empty list that gives everybody all', 'rights:\n  htpasswd-file: /dev/null\n  identities: []', '/kiln.yaml:3:3: rights.identities is empty, and without identities every user of rights.htpasswd-file may read and write everywhere', 'leave rights.identities out if that is what you want; otherwise name who may do something, each with grants'],
];

const tables: readonly (readonly [string, readonly FileRow[]])[] = [
  ['names', names],
  ['units and numbers', units],
  ['forms', forms],
  ['values', values],
  ['YAML', syntax],
  ['together', contradictory],
];

const hash = `sha256:${'12'.repeat(32)}`;

describe('mistakes in a configuration file', () => {
  for (const [kind, rows] of tables) {
    for (const [name, yaml, problem, advice] of rows) {
      it(`${kind}: ${name}`, async () => {
        assert.deepEqual(await mistakesOf({ files: { '/kiln.yaml': yaml } }), [`${problem}\n${advice}`]);
      });
    }
  }

  it('names all of them at once, in the order of the file, and no secret', async () => {
    const yaml = ['traces:', '  headers: {authorization: "topsecret\\n"}', 'data:', 'limits:', '  connections: many', 'colour: red'].join('\n');
    const mistakes = await mistakesOf({ args: ['--colour'], environment: { KILN_COLOUR: 'red' }, files: { '/kiln.yaml': yaml } });
    assert.deepEqual(mistakes.map((text) => text.split('\n')[0]), [
      'unknown option --colour',
      'unknown environment variable KILN_COLOUR',
      '/kiln.yaml:2:28: traces.headers.authorization: what is given (and not shown here) is not the value of an HTTP header',
      '/kiln.yaml:3:6: data: has no value',
      '/kiln.yaml:5:16: limits.connections: "many" is not a whole number',
      '/kiln.yaml:6:1: unknown key "colour"',
    ]);
  });

  it('and in the tokens file', async () => {
    const files = { '/kiln.yaml': 'rights:\n  tokens-file: tokens.yaml', '/tokens.yaml': '- name: ci\n  token: [x]\n- nam: b' };
    assert.deepEqual(await mistakesOf({ files }), [
      '/tokens.yaml:2:3: unknown key "token"\ndid you mean tokens? example: tokens: [sha256:HEX]',
      '/tokens.yaml:3:3: unknown key "nam"\ndid you mean name? example: name: ci',
    ]);
    assert.deepEqual(await mistakesOf({ files: { '/kiln.yaml': 'rights:\n  tokens-file: /no/tokens.yaml' } }), [
      '/kiln.yaml:2:3: there is no file /no/tokens.yaml\ncreate it, or correct the path',
    ]);
    for (const [content, is] of [['kiln_topsecret\n', 'one value'], ['ada:$2y$05$topsecret\n', 'one value'], ['rights: {identities: []}\n', 'a group of keys']] as const) {
      assert.deepEqual(await mistakesOf({ files: { ...files, '/tokens.yaml': content } }), [`/tokens.yaml:1:1: is ${is}, but should be a list\nbegin each element on a line of its own with "- ", as in "- name: ci"`]);
    }
  });

  it('and a token of two callers, in one file or in both', async () => {
    const shared = 'token sha256:12121212... belongs to both "ci" and "ada"\nmake one for each with "kiln token create"';
    const own = `rights:\n  identities:\n    - {name: ci, tokens: [${hash}]}\n`;
    const files = { '/kiln.yaml': `${own}  tokens-file: /tokens.yaml\n`, '/tokens.yaml': `- {name: ada, tokens: [${hash}]}\n` };
    assert.deepEqual(await mistakesOf({ files }), [`/kiln.yaml:4:3: ${shared}`]);
    assert.deepEqual(await mistakesOf({ files: { '/kiln.yaml': `${own}    - {name: ada, tokens: [${hash}]}\n` } }), [`/kiln.yaml:2:3: ${shared}`]);
    assert.deepEqual(await mistakesOf({ files: { ...files, '/tokens.yaml': `- {name: ci, tokens: [${hash}]}\n` } }), []);
  });

  it('and in the htpasswd file', async () => {
    const files = { '/kiln.yaml': 'rights:\n  htpasswd-file: users', '/users': 'ada:topsecret\n' };
    const [mistake = ''] = await mistakesOf({ files });
    assert.match(mistake, /^\/users:1: the password of "ada" is .*\n.*htpasswd -B \/users ada$/);
    assert.ok(!mistake.includes('topsecret'));
    const [large = ''] = await mistakesOf({ files: { ...files, '/users': 'ada:{SHA}AAAAAAAAAAAAAAAAAAAAAAAAAAA=\n'.repeat(120_000) } });
    assert.match(large, /^\/users is longer than 4194304 bytes, so it is no file of users\nname the htpasswd file: /);
    assert.deepEqual(await mistakesOf({ files: { '/kiln.yaml': 'rights:\n  htpasswd-file: /no/users' } }), ['/kiln.yaml:2:3: there is no file /no/users\ncreate it, or correct the path']);
  });

  it('finds nothing wrong in an empty file, in comments only, and in groups whose keys are commented out', async () => {
    for (const yaml of ['', '# nothing\n', '---\n', 'log:\n#  level: debug\nlisten:\nrights:\n  identities:\ntraces: {headers: }', '\ufeffdata: /d\r\nlog: {level: debug}\r\n']) {
      assert.deepEqual(await mistakesOf({ files: { '/kiln.yaml': yaml } }), [], yaml);
    }
  });
});

describe('files that cannot be read', () => {
  const unreadable: readonly [string, string | Uint8Array, string][] = [
    ['not UTF-8', Uint8Array.from([0x64, 0x0a, 0x61, 0xff]), '/kiln.yaml:2:2: here is a byte that is not UTF-8\nsave the file as UTF-8'],
    ['UTF-16', Uint8Array.from([0xff, 0xfe, 0x61, 0x00]), '/kiln.yaml:1:1: the file is UTF-16, not UTF-8\nsave the file as UTF-8'],
    ['too large', new Uint8Array(1024 * 1024 + 1).fill(0x23), '/kiln.yaml:1:1: the file is larger than 1024 KiB\na configuration is some hundred lines; is this the right file?'],
    ['nested without end', '['.repeat(200_000), '/kiln.yaml:1:1: lists or maps are nested too deeply to be read\nno key is nested more than five levels deep'],
  ];
  for (const [name, content, answer] of unreadable) {
    it(name, async () => {
      assert.deepEqual(await mistakesOf({ files: { '/kiln.yaml': content } }), [answer]);
    });
  }

  it('a value that is a whole page, a name like one of JavaScript, and more mistakes than anybody reads', async () => {
    const [long = ''] = await mistakesOf({ files: { '/kiln.yaml': `log:\n  level: ${'x'.repeat(100_000)}\n` } });
    assert.match(long, /^\/kiln\.yaml:2:10: log\.level: "x+\.\.\. \(\d+ characters\)\nexample: level: debug$/);
    assert.ok(long.length < 600);
    for (const name of ['__proto__', 'constructor', 'toString']) {
      assert.deepEqual((await mistakesOf({ files: { '/kiln.yaml': `${name}: x` } })).map((text) => text.split('\n')[0]), [`/kiln.yaml:1:1: unknown key "${name}"`]);
    }
    const many = Array.from({ length: 100 }, (_, index) => `key${index}: x`).join('\n');
    assert.equal((await mistakesOf({ files: { '/kiln.yaml': many } })).length, 100);
  });

  it('absent, a directory, below a file, a link to itself, not permitted', async (t) => {
    const directory = await temporaryDirectory(t);
    const at = (name: string) => join(directory, name);
    await mkdir(at('directory'));
    await writeFile(at('file'), '');
    await symlink(at('loop'), at('loop'));
    await writeFile(at('secret'), '', { mode: 0 });
    const answers: readonly [string, string][] = [
      ['absent.yaml', 'there is no file PATH\ncreate it, or correct the path'],
      ['directory', 'PATH is a directory\nname the file in it'],
      ['file/kiln.yaml', 'there is no file PATH: a part of the path is a file itself\ncorrect the path'],
      ['loop', 'PATH is a symbolic link that leads to itself\ncorrect the link'],
    ];
    for (const [name, answer] of answers) {
      assert.deepEqual(await mistakesOf({ args: ['--config', at(name)] }), [`--config: ${answer.replace('PATH', at(name))}`]);
      assert.deepEqual(await mistakesOf({ environment: { KILN_CONFIG: at(name) } }), [`KILN_CONFIG: ${answer.replace('PATH', at(name))}`]);
    }
    assert.deepEqual(await asNobody(() => mistakesOf({ args: ['--config', at('secret')] })), [
      `--config: ${at('secret')} may not be read by this user\ngive the user that runs Kiln the right to read it, and to enter the directories above it`,
    ]);
  });
});

/** Runs `body` without the rights of root, which may read every file. */
async function asNobody<T>(body: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return body();
  process.seteuid?.(65_534);
  try {
    return await body();
  } finally {
    process.seteuid?.(0);
  }
}

describe('mistakes in flags and variables', () => {
  const rows: readonly [string, Given, string, string][] = [
    ['a misspelt flag', { args: ['--max-sise', '1GiB'] }, 'unknown option --max-sise', 'did you mean --max-size? example: --max-size 10GiB'],
    ['a flag of a group without the group', { args: ['--level=debug'] }, 'unknown option --level', 'did you mean --log-level? example: --log-level debug'],
    ['what other programs call a flag', { args: ['--cache-dir', '/d'] }, 'unknown option --cache-dir', 'did you mean --data? example: --data /var/cache/kiln'],
    ['what other programs call a variable', { environment: { KILN_CACHE_DIR: '/d' } }, 'unknown environment variable KILN_CACHE_DIR', 'did you mean KILN_DATA? example: KILN_DATA=/var/cache/kiln'],
    ['a letter for a flag', { args: ['-c', '/k.yaml'] }, 'unknown option -c', 'did you mean --config? example: --config /etc/kiln/kiln.yaml'],
    ['several addresses in one', { args: ['--listen', '127.0.0.1:1,127.0.0.1:2'] }, '--listen: "127.0.0.1:1,127.0.0.1:2" is not an address: several addresses are given one by one', 'example: --listen 127.0.0.1:9092'],
    ['a structure in a variable', { environment: { KILN_RIGHTS_IDENTITIES: 'ci' } }, 'unknown environment variable KILN_RIGHTS_IDENTITIES', 'rights.identities is given in the file only: --config FILE'],
    ['a dotted flag', { args: ['--log.level', 'debug'] }, 'unknown option --log.level', 'did you mean --log-level? example: --log-level debug'],
    ['a single hyphen', { args: ['-data', '/d'] }, 'unknown option -data', 'did you mean --data? example: --data /var/cache/kiln'],
    ['a flag without its value', { args: ['--data'] }, '--data needs a value', 'example: --data /var/cache/kiln'],
    ['a flag in place of a value', { args: ['--data', '--log-level', 'debug'] }, '--data needs a value', 'example: --data /var/cache/kiln'],
    ['a flag given twice', { args: ['--data', '/a', '--data=/b'] }, '--data is given twice', 'give --data once'],
    ['the file without its flag', { args: ['kiln.yaml'] }, 'unexpected argument "kiln.yaml"', 'did you mean --config kiln.yaml?'],
    ['an argument', { args: ['start'] }, 'unexpected argument "start"', 'kiln serve takes options only; "kiln help serve" lists them'],
    ['a secret on the command line', { args: ['--traces-headers', 'a=b'] }, 'unknown option --traces-headers', 'traces.headers is given in the file or as KILN_TRACES_HEADERS only: --config FILE'],
    ['a structure on the command line', { args: ['--rights-identities', 'ci'] }, 'unknown option --rights-identities', 'rights.identities is given in the file only: --config FILE'],
    ['a misspelt variable', { environment: { KILN_MAXSIZE: '1GiB' } }, 'unknown environment variable KILN_MAXSIZE', 'did you mean KILN_MAX_SIZE? example: KILN_MAX_SIZE=10GiB'],
    ['a variable of nobody', { environment: { KILN_SERVICE_HOST_IN_CLUSTER: 'x' } }, 'unknown environment variable KILN_SERVICE_HOST_IN_CLUSTER', 'unset it; "kiln help serve" lists the variables Kiln reads'],
    ...[['KILN_PORT', 'tcp://10.0.0.1:9092'], ['KILN_CACHE_PORT', 'tcp://10.0.0.1:9092'], ['KILN_SERVICE_HOST', '10.0.0.1'], ['KILN_SERVICE_PORT_GRPC', '9092'], ['KILN_PORT_9092_TCP_ADDR', '10.0.0.1']].map(
      ([variable = '', text]): [string, Given, string, string] =>
        [`what Kubernetes sets: ${variable}`, { environment: { [variable]: text } }, `unknown environment variable ${variable}`, 'Kubernetes sets it for a Service of that name: write enableServiceLinks: false into the specification of the pod'],
    ),
    ['a port in a variable', { environment: { KILN_PORT: '9092' } }, 'unknown environment variable KILN_PORT', 'did you mean KILN_LISTEN? example: KILN_LISTEN=127.0.0.1:9092'],
    ['a wrong value in a variable', { environment: { KILN_LISTEN: '127.0.0.1:0,9092' } }, 'KILN_LISTEN: "9092" is not an address: the host is missing', 'example: KILN_LISTEN=127.0.0.1:9092'],
    ['a header without a value', { environment: { KILN_TRACES_HEADERS: 'topsecret' } }, 'KILN_TRACES_HEADERS: what is given (and not shown here) is not the value of an HTTP header', 'example: KILN_TRACES_HEADERS=authorization=Bearer SECRET'],
    ['a header with a colon', { environment: { KILN_TRACES_HEADERS: 'authorization: Bearer topsecret' } }, 'KILN_TRACES_HEADERS: what is given (and not shown here) is not the name of an HTTP header', 'example: KILN_TRACES_HEADERS=authorization=Bearer SECRET'],
    ['a variable of a group without the group', { environment: { KILN_TOKENS_FILE: '/t' } }, 'unknown environment variable KILN_TOKENS_FILE', 'did you mean KILN_RIGHTS_TOKENS_FILE? example: KILN_RIGHTS_TOKENS_FILE=/etc/kiln/tokens.yaml'],
    ['a value that contradicts the file', { args: ['--allow-anonymous=none'], files: { '/kiln.yaml': '' } }, '--allow-anonymous: nobody may do anything: allow-anonymous is none, and there are no identities', 'add identities under rights ("kiln token create" makes a token), or allow-anonymous: read'],
  ];
  for (const [name, given, problem, advice] of rows) {
    it(name, async () => {
      assert.deepEqual(await mistakesOf(given), [`${problem}\n${advice}`]);
    });
  }
});
