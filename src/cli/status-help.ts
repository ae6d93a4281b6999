// What `kiln help status` says; apart from the command, which is loaded when it is asked for.
import type { CommandSummary } from './help.ts';

export const statusSummary: CommandSummary = {
  name: 'status',
  synopsis: 'status [URL] [options]',
  summary: 'asks a running server how it is, and what you may do there',
  notes: [
    '  URL',
    '      http://HOST:PORT, https://HOST:PORT, either with /INSTANCE, or unix:PATH. [default: http://127.0.0.1:9092]',
    '  --token-file FILE',
    '      A file that holds a token and nothing else, as kiln token create prints it.',
    '  --ca-file FILE',
    '      Certificates of the authorities that may have signed that of the server, as PEM. [default: those of the system]',
    '  --certificate-file FILE, --key-file FILE',
    '      A certificate to show to a server that asks for one, and its key, as PEM.',
    '  --timeout DURATION',
    '      How long the server may be silent before it counts as down. [default: 5s]',
    '  --json',
    '      Prints one JSON object.',
    '',
    'Ends with status 0 when the server is up, and 1 when it is not, is draining, or does not know the token. It writes nothing, and fits a health check: kiln status http://127.0.0.1:9092 >/dev/null',
  ].join('\n'),
};
