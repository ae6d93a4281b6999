/** The certificates that tests serve with: whatever the serial number happens to be, OpenSSL reads them. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { makeCertificate } from './certificates.ts';

describe('makeCertificate', () => {
  it('makes certificates that OpenSSL reads, with serial numbers that begin with zeros too', () => {
    const { key } = makeCertificate();
    for (let round = 0; round < 2_500; round++) { // one serial number of 512 would need zeros taken away
      const { certificate } = makeCertificate({ key, subject: [['CN', `name ${round}`]] });
      assert.match(new X509Certificate(certificate).subject, /^CN=name \d+$/);
    }
  });
});
