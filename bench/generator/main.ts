// The load generator for what h2load cannot do: bodies that differ, uploads in several messages, a steady rate.
// A process of its own, so that it can have a core of its own. Usage: main.ts JOB_FILE; prints what came of it as JSON.
import { readFileSync } from 'node:fs';
import type { GeneratorJob } from '../traffic/traffic.ts';
import { generate } from './generate.ts';

const [, , jobFile] = process.argv;
if (jobFile === undefined) throw new Error('usage: main.ts JOB_FILE');
process.stdout.write(JSON.stringify(await generate(JSON.parse(readFileSync(jobFile, 'utf8')) as GeneratorJob)));
