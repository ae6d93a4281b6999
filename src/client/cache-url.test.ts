// URLs of caches: what each part means, and what is said about the wrong ones.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCacheUrl } from './cache-url.ts';

describe('parseCacheUrl', () => {
  const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port });
  const urls: readonly (readonly [text: string, expected: object])[] = [
    ['http://127.0.0.1:9092', { server: tcp('127.0.0.1', 9092), tls: false, instance: undefined, credentials: undefined }],
    ['http://cache', { server: tcp('cache', 80), tls: false, instance: undefined, credentials: undefined }],
    ['http://[::1]:9092/', { server: tcp('::1', 9092), tls: false, instance: undefined, credentials: undefined }],
    ['http://h:1/team/a%20b/', { server: tcp('h', 1), tls: false, instance: 'team/a b', credentials: undefined }],
    ['http://me:p%40ss%3A@h:1/x', { server: tcp('h', 1), tls: false, instance: 'x', credentials: { user: 'me', password: 'p@ss:' } }],
    ['http://:word@h:1', { server: tcp('h', 1), tls: false, instance: undefined, credentials: { user: '', password: 'word' } }],
    ['https://cache/x', { server: tcp('cache', 443), tls: true, instance: 'x', credentials: undefined }],
    ['https://[::1]:9092', { server: tcp('::1', 9092), tls: true, instance: undefined, credentials: undefined }],
    ['unix:/run/kiln.sock', { server: { kind: 'unix', path: '/run/kiln.sock' }, tls: false, instance: undefined, credentials: undefined }],
  ];
  for (const [text, expected] of urls) it(`reads ${text}`, () => assert.deepEqual(parseCacheUrl(text), expected));

  const mistakes: readonly (readonly [text: string, message: RegExp])[] = [
    ['', /"" is no URL of a cache; write http:/],
    ['127.0.0.1:9092', /is no URL of a cache; write http:/],
    ['localhost:9092', /is no URL of a cache; write http:/],
    ['ftp://h', /is no URL of a cache/],
    ['unix:', /names no path after "unix:"/],
    ['grpc://h:9092/x', /the same port takes http:\/\/h:9092/],
    ['grpcs://h:9092/x', /the same port takes https:\/\/h:9092/],
    ['http://h/?instance=x', /has a query or a fragment/],
    ['http://h/a/blobs', /instance name "a\/blobs" has the segment "blobs"/],
    ['http://h/%ff', /not percent-encoded UTF-8/],
  ];
  for (const [text, message] of mistakes) it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseCacheUrl(text), { code: 'invalid_argument', message }));

  it('repeats no password', () => {
    for (const text of ['http://me:s3cret@h:x', 'ftp://me:s3cret@h', 'http://me:s3cret@h/?q', 'http://me:s3cret%ff@h/', 'https://me:s3cret@h/?q', 'grpcs://me:s3cret@h', 'http://me:s3cret/x@h', 'http://me:a@s3cret@h:x', 'me:s3cret@h:9092']) {
      assert.throws(() => parseCacheUrl(text), (thrown: Error) => !String(thrown.message).match('s3cret'));
    }
  });
});
