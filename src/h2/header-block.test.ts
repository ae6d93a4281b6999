// Which header blocks are a request, and which are trailers (RFC 9113 §8.2, §8.3).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DecodedBlock, trailersProblem } from './header-block.ts';

const head = [':method', 'GET', ':scheme', 'http', ':path', '/'];

function problemOf(...fields: string[]): string | undefined {
  return new DecodedBlock(fields, 0, false).requestCheck.problem;
}

describe('request check', () => {
  it('accepts requests as clients send them', () => {
    assert.equal(problemOf(...head), undefined);
    assert.equal(problemOf(':path', '/a', ':authority', 'h', ':scheme', 'https', ':method', 'POST', 'te', 'trailers', 'host', 'h', 'x', ''), undefined);
    assert.equal(problemOf(':method', 'OPTIONS', ':scheme', 'http', ':path', '*'), undefined);
    assert.equal(problemOf(':method', 'CONNECT', ':authority', 'h:1'), undefined);
  });

  it('refuses what a request cannot have', () => {
    const refused: readonly (readonly string[])[] = [
      [':scheme', 'http', ':path', '/'],
      [':method', 'GET', ':path', '/'],
      [':method', 'GET', ':scheme', 'http'],
      [':method', 'GET', ':scheme', 'http', ':path', ''],
      [...head, ':method', 'GET'],
      [...head, ':status', '200'],
      [...head, ':other', 'x'],
      [...head, 'a', 'b', ':authority', 'h'],
      [...head, 'Upper', 'x'],
      [...head, 'a b', 'x'],
      [...head, '', 'x'],
      [...head, 'caf\u00e9', 'x'],
      [...head, 'a:b', 'x'],
      [...head, 'a', 'b\n'],
      [...head, 'a', 'b\0c'],
      [...head, 'a', ' b'],
      [...head, 'a', 'b\t'],
      [...head, 'connection', 'close'],
      [...head, 'transfer-encoding', 'chunked'],
      [...head, 'upgrade', 'x'],
      [...head, 'keep-alive', 'x'],
      [...head, 'proxy-connection', 'x'],
      [...head, 'te', 'gzip'],
      [...head, ':authority', 'a', 'host', 'b'],
      [...head, 'content-length', 'x'],
      [...head, 'content-length', '-1'],
      [...head, 'content-length', '1', 'content-length', '2'],
      [':method', 'CONNECT', ':authority', 'h', ':path', '/', ':scheme', 'http'],
      [':method', 'CONNECT'],
    ];
    for (const fields of refused) assert.notEqual(problemOf(...fields), undefined, JSON.stringify(fields));
  });

  it('reads content-length, also when it is repeated alike', () => {
    assert.equal(new DecodedBlock([...head, 'content-length', '12'], 0, false).requestCheck.contentLength, 12);
    assert.equal(new DecodedBlock([...head, 'content-length', '7, 7', 'content-length', '7'], 0, false).requestCheck.contentLength, 7);
    assert.equal(new DecodedBlock(head, 0, false).requestCheck.contentLength, undefined);
  });

  it('finds the first value of a name', () => {
    const block = new DecodedBlock([...head, 'a', '1', 'a', '2'], 0, false);
    assert.equal(block.get('a'), '1');
    assert.equal(block.get('1'), undefined);
  });
});

describe('trailers check', () => {
  it('refuses pseudo-headers and forbidden fields', () => {
    assert.equal(trailersProblem(['grpc-status', '0']), undefined);
    for (const fields of [[':path', '/'], ['A', 'b'], ['connection', 'close']]) assert.notEqual(trailersProblem(fields), undefined);
  });
});
