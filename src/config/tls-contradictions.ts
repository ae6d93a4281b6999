// What the keys about TLS can have wrong together.
import { formatListenAddress } from '../base/listen-address.ts';
import type { Rule } from './rule.ts';

export const tlsRules: readonly Rule[] = [
  {
    keys: ['tls.certificate', 'tls.certificate'],
    wrong: ({ tls }) => (tls.certificate !== undefined && tls.key === undefined ? ['tls.certificate needs its private key, and there is no tls.key', 'add tls.key with the file of the key'] : undefined),
  },
  ...(['key', 'client-ca', 'client-certificates'] as const).map(
    (name): Rule => ({
      keys: [`tls.${name}`, `tls.${name}`],
      wrong: ({ tls }) => (tls[name] !== undefined && tls.certificate === undefined ? [`tls.${name} has no use without tls.certificate`, 'add tls.certificate with the file of the certificate'] : undefined),
    }),
  ),
  {
    keys: ['tls.client-certificates', 'tls.client-certificates'],
    wrong: ({ tls }) =>
      tls.certificate !== undefined && tls['client-certificates'] !== undefined && tls['client-certificates'] !== 'off' && tls['client-ca'] === undefined
        ? [`tls.client-certificates is ${tls['client-certificates']}, and nothing says whose certificates are believed`, 'add tls.client-ca with the certificates of your authority']
        : undefined,
  },
  {
    keys: ['rights.identities', 'tls.client-certificates'],
    wrong: ({ rights, tls }) => {
      const named = rights.identities.find(({ certificates }) => certificates.length > 0);
      if (named === undefined || (tls['client-ca'] !== undefined && tls['client-certificates'] !== 'off')) return undefined;
      return [`identity ${JSON.stringify(named.name)} has certificates, but clients are not asked for any`, 'add tls.client-ca with the certificates of your authority, and let tls.client-certificates be optional or required'];
    },
  },
  {
    keys: ['listen', 'listen'],
    wrong: ({ listen, tls }) => {
      const wishing = tls.certificate === undefined ? listen.find((entry) => entry.tls === true) : undefined;
      return wishing === undefined ? undefined : [`${formatListenAddress(wishing.address)} is to speak TLS, and there is no certificate`, 'add tls.certificate and tls.key'];
    },
  },
  {
    keys: ['listen', 'listen'],
    wrong: ({ listen }) => {
      const socket = listen.find(({ address, tls }) => tls === true && address.kind === 'unix');
      return socket === undefined ? undefined : [`${formatListenAddress(socket.address)} is a unix socket, on which there is no TLS`, 'leave tls out there: what goes through a socket file does not leave the machine'];
    },
  },
];
