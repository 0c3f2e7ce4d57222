import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../package.json') as { version: string };

/** Version of the application, as its package says. */
export const version = manifest.version;
/** The source it was built from; a build may replace it. */
export const commit = 'unknown';
