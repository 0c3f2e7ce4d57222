import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { z } from 'zod';
import { isLocalHost } from './local-host.ts';
import type { Setting } from './setting-forms.ts';
import { type SettingName, type Settings, settings } from './settings.ts';

type ValueOf<S> = S extends { schema: z.ZodType<infer Value> } ? Value : never;
type Worked<S> = S extends { default: string } ? ValueOf<S> : ValueOf<S> | undefined;

/** Every setting with its value, by its name in `settings`. Those without a default may be undefined. */
export type Config = {
  [Name in SettingName]: Name extends 'publicUrl' | 'metricsAllowedNetworks'
    ? ValueOf<Settings[Name]>
    : Worked<Settings[Name]>;
};

export type Environment = Record<string, string | undefined>;
/** What the command line gave, by name of the setting; it goes before the environment. */
export type Flags = { [Name in SettingName]?: string | number | boolean | undefined };

/** Everything that is wrong with the configuration, one line a setting. */
export class ConfigError extends Error {
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigError';
    this.lines = lines;
  }
}

/** Works out the configuration. Throws a `ConfigError` with all faults at once; `require` names settings this command cannot do without. */
export function readConfig(
  env: Environment,
  flags: Flags = {},
  { require = [] }: { require?: readonly SettingName[] } = {},
): Config {
  const names = Object.keys(settings) as SettingName[];
  const readings = names.map((name) => ({ name, ...readSetting(settings[name], env, flags[name]) }));
  const values = Object.fromEntries(readings.map(({ name, value }) => [name, value])) as Config;
  const missing = readings.filter(({ name, fault, value }) => require.includes(name) && !fault && value === undefined);
  const lines = [
    ...readings.flatMap(({ fault }) => fault ?? []),
    ...missing.map(({ name }) => `${settings[name].env}: required by this command`),
    ...contradictions(values),
    ...missingOfStorage(values),
    ...unsaid(values, env),
  ];
  if (lines.length > 0) throw new ConfigError(lines);
  return {
    ...values,
    publicUrl: values.publicUrl ?? publicUrlOf(values),
    metricsAllowedNetworks: values.metricsAllowedNetworks ?? ownNetworks(values),
  };
}

/** This machine; behind a public address nobody unless named, as a proxy on this machine would make a neighbour of everybody. */
function ownNetworks({ publicUrl }: Partial<Config>): string[] {
  const isOfHere = publicUrl === undefined || isLocalHost(new URL(publicUrl).hostname);
  return isOfHere ? ['127.0.0.0/8', '::1/128'] : [];
}

/** The configuration of this process. */
export function readProcessConfig(flags: Flags = {}, options: { require?: readonly SettingName[] } = {}): Config {
  return readConfig(process.env, flags, options);
}

/** An empty variable counts as not given. */
function readSetting(
  setting: Setting,
  env: Environment,
  flag: Flags[SettingName],
): { value?: unknown; fault?: string } {
  const secret = setting.secret && flag === undefined ? readSecretFile(setting, env) : {};
  if (secret.fault !== undefined) return secret;
  const given = flag === undefined ? env[setting.env] || undefined : String(flag);
  const text = secret.text ?? given ?? setting.default;
  if (text === undefined) return {};
  const parsed = setting.schema.safeParse(text);
  if (parsed.success) return { value: parsed.data };
  const name = flag === undefined ? setting.env : (setting.flag ?? setting.env);
  const got = setting.secret ? 'something else' : JSON.stringify(text);
  return { fault: `${name}: expected ${parsed.error.issues[0]?.message}, got ${got}` };
}

/** A secret may stand in a file, which `<NAME>_FILE` names; the line end after it is not part of it. */
function readSecretFile({ env: name }: Setting, env: Environment): { text?: string; fault?: string } {
  const path = env[`${name}_FILE`];
  if (!path) return {};
  if (env[name]) return { fault: `${name}_FILE: expected none, as ${name} is given` };
  try {
    const text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    return text === '' ? { fault: `${name}_FILE: expected a file with the secret, got an empty one` } : { text };
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'an error';
    return { fault: `${name}_FILE: expected a file that can be read, got ${reason} of ${JSON.stringify(path)}` };
  }
}

function contradictions({
  nodeEnv,
  failpoint,
  metricsEnabled,
  metricsPort,
  port,
  adminEmail,
  adminPassword,
  traffic,
  mailRetrySpeed,
  profile,
}: Config): string[] {
  const lines: string[] = [];
  if (failpoint !== undefined && nodeEnv === 'production')
    lines.push('FAILPOINT: expected none when NODE_ENV is production');
  if (profile !== 'demo' && nodeEnv === 'production')
    lines.push('WORLD_PROFILE: expected demo when NODE_ENV is production');
  if (traffic && nodeEnv === 'production') lines.push('TRAFFIC: expected false when NODE_ENV is production');
  if (mailRetrySpeed > 1 && nodeEnv === 'production')
    lines.push('MAIL_RETRY_SPEED: expected 1 when NODE_ENV is production');
  if (metricsEnabled && port !== 0 && port !== undefined && port === metricsPort)
    lines.push(`METRICS_PORT: expected another port than PORT, got ${port}`);
  if (adminPassword !== undefined && adminEmail === undefined)
    lines.push('FMHL_ADMIN_EMAIL: expected an e-mail address, as FMHL_ADMIN_PASSWORD is given');
  return lines;
}

/** A bucket cannot be guessed, nor who may use it. */
function missingOfStorage(values: Config): string[] {
  if (values.exportStorage !== 's3') return [];
  const needed = ['s3Endpoint', 's3Bucket', 's3AccessKeyId', 's3SecretAccessKey'] as const;
  const missing = needed.filter((name) => values[name] === undefined);
  return missing.map((name) => `${settings[name].env}: required when EXPORT_STORAGE is s3`);
}

/** What must be said in production, because its default is for trying things out: money for nothing, and an audit log that nothing outside vouches for. */
function unsaid({ nodeEnv }: Config, env: Environment): string[] {
  if (nodeEnv !== 'production') return [];
  const lines: string[] = [];
  if (!env.DEPOSIT_MODE)
    lines.push('DEPOSIT_MODE: expected gateway, or instant on purpose, when NODE_ENV is production');
  if (!env.AUDIT_ANCHOR && !env.AUDIT_ANCHOR_FILE)
    lines.push('AUDIT_ANCHOR: expected a path or an https address, or none on purpose, when NODE_ENV is production');
  return lines;
}

/** `http://HOST:PORT` as a browser on this machine can open it. With port 0, ask again once the port is known. */
export function publicUrlOf({ host, port }: { host: string; port: number }): string {
  const everywhere: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const reachable = everywhere[host] ?? host;
  return `http://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
}

/** The public address once the port is known: that which was given, else the one that follows from the port. */
export function publicUrlWith(config: Pick<Config, 'publicUrl' | 'host' | 'port'>, port: number): string {
  return config.publicUrl === publicUrlOf(config) ? publicUrlOf({ host: config.host, port }) : config.publicUrl;
}

export interface SettingReference {
  name: string;
  /** Variable with the path of a file that holds the value; secrets have one. */
  file?: string;
  flag?: string;
  /** Empty when there is none. */
  default: string;
  meaning: string;
}

/** Every setting as the configuration reference shows it. */
export function configReference(): SettingReference[] {
  return Object.values(settings).map((setting: Setting) => ({
    name: setting.env,
    ...(setting.secret && { file: `${setting.env}_FILE` }),
    ...(setting.flag && { flag: setting.flag }),
    default: setting.default ?? setting.defaultMeaning ?? '',
    meaning: setting.describe,
  }));
}
