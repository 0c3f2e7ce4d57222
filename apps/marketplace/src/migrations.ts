import { fileURLToPath } from 'node:url';
import { opsMigrations } from '@fmhl/ops';

/** The plane's tables first: the marketplace's own refer to them. */
export const migrationSets = [
  opsMigrations,
  { name: 'marketplace', directory: fileURLToPath(new URL('../migrations', import.meta.url)) },
] as const;
