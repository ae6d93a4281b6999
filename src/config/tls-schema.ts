// TLS as it is written in the configuration: what the server shows, and what it asks of its clients.
import { group, key, optionalKey } from './key.ts';
import { oneOf, path } from './value-type.ts';
import type { ValueType } from './value-type.ts';

/** Without quotes, YAML has a number there. */
const tlsVersion: ValueType<'1.2' | '1.3'> = { ...oneOf('1.2', '1.3'), json: { enum: ['1.2', '1.3', 1.2, 1.3] } };

export const tlsGroup = group(
  {
    title: 'TLS',
    help: 'With a certificate, every TCP address speaks TLS unless it says `tls: false`. SIGHUP reads the files again: new connections get the new certificate, open ones go on. To switch TLS on or off takes a restart.',
  },
  {
    certificate: optionalKey(path('FILE'), {
      help: 'Certificate of the server and those of the authorities between it and the root, in this order, as PEM. Clients need a name or address in it that they call the server by.',
      example: '/etc/kiln/tls/fullchain.pem',
      default: { derived: 'none: no TLS' },
      reload: true,
    }),
    key: optionalKey(path('FILE'), {
      help: 'Private key of the certificate, as PEM, not encrypted. Nobody but the user that runs Kiln should be able to read it.',
      example: '/etc/kiln/tls/privkey.pem',
      default: { derived: 'none' },
      reload: true,
    }),
    'client-ca': optionalKey(path('FILE'), {
      help: 'Certificates of the authorities whose client certificates are believed, as PEM. Use one of your own: a public one vouches for strangers.',
      example: '/etc/kiln/tls/clients.pem',
      default: { derived: 'none' },
      reload: true,
    }),
    'client-certificates': optionalKey(oneOf('off', 'optional', 'required'), {
      help: 'Whether clients are asked for a certificate. Whom it stands for is said by the certificates of rights.identities.',
      example: 'optional',
      default: { derived: 'required with client-ca, otherwise off' },
      reload: true,
    }),
    'min-version': key(tlsVersion, {
      help: 'Oldest version of TLS that is spoken.',
      example: '1.3',
      default: { text: '1.2' },
      reload: true,
    }),
  },
);
