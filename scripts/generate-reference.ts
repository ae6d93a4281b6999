// Writes the reference of the configuration: npm run generate:reference. A test says when that is due.
import { writeFile } from 'node:fs/promises';
import { referenceFiles } from './reference-page.ts';

for (const [path, text] of referenceFiles()) await writeFile(new URL(`../docs/${path}`, import.meta.url), text);
