import { join } from 'node:path';
import type { Config } from '../config.ts';
import { openLocalStore } from './local.ts';
import { openS3Store } from './s3.ts';
import type { FileStore } from './store.ts';

/** The store that the configuration names. Nothing is connected or made yet. */
export function openFileStore(config: Config): FileStore {
  if (config.exportStorage === 'local') return openLocalStore(config.exportDir ?? join(config.dataDir, 'exports'));
  const { s3Endpoint = '', s3Region, s3Bucket = '', s3AccessKeyId = '', s3SecretAccessKey = '' } = config;
  return openS3Store({
    endpoint: s3Endpoint,
    region: s3Region,
    bucket: s3Bucket,
    accessKeyId: s3AccessKeyId,
    secretAccessKey: s3SecretAccessKey,
  });
}
