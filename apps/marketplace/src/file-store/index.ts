export { openLocalStore } from './local.ts';
export { openFileStore } from './open.ts';
export { openS3Store } from './s3.ts';
export type { FileStore, StoredFile } from './store.ts';
