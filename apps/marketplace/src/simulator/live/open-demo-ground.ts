import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { findServers, madeTokenKey } from '../../embedded/index.ts';
import { openKeys } from '../../keys.ts';
import { openTelemetry } from '../../telemetry.ts';
import { connectControl } from './control-client.ts';
import { type Ground, openGround } from './ground.ts';

/** The demo that runs on this data directory. Throws, in words, where none does, and in production. */
export async function openDemoGround(config: Config): Promise<Ground> {
  if (config.nodeEnv === 'production')
    throw new Error('NODE_ENV: expected none but production here is no place for a simulation');
  const control = await connectControl(config.dataDir);
  const { databaseUrl, redisUrl } = await findServers(config);
  const tokenKey = config.tokenKey ?? madeTokenKey(join(config.dataDir, 'token.key')) ?? '';
  const [paymentKey] = openKeys({ tokenKey }).derive('payment-webhook');
  const webhookSecret = config.paymentWebhookSecret ?? paymentKey?.key.toString('hex') ?? '';
  const { log } = openTelemetry({ ...config, logLevel: 'error' }, { role: 'simulator', logTo: process.stderr });
  return openGround({ control, databaseUrl, redisUrl, tokenKey, webhookSecret, log });
}
