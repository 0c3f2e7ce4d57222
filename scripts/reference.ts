/** `npm run reference`: writes docs/reference from the code. `reference.test.ts` fails when a page differs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { referencePages } from './reference-pages.ts';

const folder = join(dirname(import.meta.dirname), 'docs', 'reference');
mkdirSync(folder, { recursive: true });
for (const [file, text] of Object.entries(await referencePages())) {
  writeFileSync(join(folder, file), text);
  console.log(`docs/reference/${file}`);
}
// Commands that waited for the absent Redis keep their timers for 10 s.
process.exit();
