/**
 * Exports opened in a spreadsheet program: no cell of one is evaluated, whatever strangers typed, and money is still numbers.
 *
 * LibreOffice reads each file as it does by itself, once more told to evaluate formulas, and so again with `;` and with tabs between cells,
 * as programs in many languages do by their settings; a file without our escaping shows that it would.
 * Where it is missing and this is a Debian machine of ours, it is installed; where that is not possible the proof says that it did not run.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { makeLead } from '../apps/marketplace/src/testing/leads.ts';
import { makeNiche, makeProvider } from '../apps/marketplace/src/testing/subscriptions.ts';
import { exportWhole } from '../apps/marketplace/src/testing/exports.ts';
import { migrationSets } from '../apps/marketplace/src/migrations.ts';
import { atLeast, type Figure, type RunOptions } from '../bench/report.ts';
import { startServers } from '../bench/servers.ts';
import { csvLine } from '../packages/ops/src/csv/index.ts';
import { type Database, openDatabase, openMigrator, sql } from '../packages/ops/src/postgres/index.ts';
import { exactly } from './harness/figures.ts';

export const about = 'exports in LibreOffice: no cell is evaluated, and money is numbers';

/** What starts a formula somewhere: by itself, behind blanks, in full width, behind what ends a cell. */
const starts = [
  '=',
  '+',
  '-',
  '@',
  '\t=',
  '\r=',
  ' =',
  '\u00a0=',
  '\u3000=',
  '＝',
  '＋',
  '－',
  '＠',
  "'=",
  '"=',
  ',=',
  '\n=',
  'Ann;=',
  'Ann; =',
  'Ann;"=',
  'Ann;+',
  'Ann;-',
  'Ann;@',
  'Ann\t=',
  'Ann\t-',
];
const bodies = [
  '1+1',
  'HYPERLINK("http://example.com";"x")',
  'WEBSERVICE("http://example.com")',
  "cmd|' /C calc'!A0",
  'SUM(A1:A9)',
];
const typed = starts.flatMap((start) => bodies.map((body) => `${start}${body}`));

export async function run({ say }: RunOptions): Promise<Figure[]> {
  const office = findOffice(say);
  const directory = mkdtempSync(join(tmpdir(), 'fmhl-spreadsheet-'));
  try {
    const files = await writeFiles(directory);
    const look = (file: string, evaluate: boolean, separator: Separator = ',') =>
      open(office, file, { directory, evaluate, separator });
    const found = files.flatMap((file) => [
      look(file, false),
      look(file, true),
      look(file, true, ';'),
      look(file, true, '\t'),
    ]);
    const control = join(directory, 'control.csv');
    writeFileSync(control, typed.map((text) => `"${text.replaceAll('"', '""')}"\r\n`).join(''));
    const leads = look(join(directory, 'leads.csv'), true);
    const ledger = look(join(directory, 'ledger.csv'), true);
    say(`${typed.length} texts in ${files.length} files, each opened in four ways`);
    return [
      exactly(0, { what: 'cells that were evaluated', value: sum(found, 'formulas'), unit: 'cells' }),
      exactly(0, { what: 'cells that link somewhere', value: sum(found, 'links'), unit: 'cells' }),
      atLeast(5, { what: 'the same without escaping', value: look(control, true).formulas, unit: 'cells' }),
      atLeast(5, { what: 'and between semicolons', value: look(control, true, ';').formulas, unit: 'cells' }),
      atLeast(5, { what: 'and between tabs', value: look(control, true, '\t').formulas, unit: 'cells' }),
      exactly(typed.length + 1, { what: 'rows of the leads, their names with them', value: leads.rows, unit: 'rows' }),
      exactly(2, { what: 'amounts that are numbers, one below zero', value: ledger.amounts, unit: 'cells' }),
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The program, installed if that is possible. Throws when there is none: a proof that did not run has proven nothing. */
function findOffice(say: (line: string) => void): string {
  const names = ['soffice', 'libreoffice'];
  const there = () => names.find((name) => spawnSync(name, ['--version']).status === 0);
  const found = there();
  if (found) return found;
  const mayInstall = process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0;
  if (mayInstall) {
    say('LibreOffice is missing; installing it with apt-get (150 MB) …');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { env });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'libreoffice-calc-nogui'], { env });
  }
  const installed = there();
  if (installed) return installed;
  throw new Error('not run: there is no LibreOffice (soffice) on this machine; install it and run this again');
}

/** Exports of the product and of the operations plane, with every text in every place that strangers fill. */
async function writeFiles(directory: string): Promise<string[]> {
  const servers = await startServers();
  const db = openDatabase({ url: servers.databaseUrl, poolSize: 4 });
  try {
    await openMigrator({ url: servers.databaseUrl, sets: migrationSets }).up();
    await fill(db);
    const files = [];
    for (const type of ['leads', 'ledger'] as const) {
      files.push(join(directory, `${type}.csv`));
      writeFileSync(join(directory, `${type}.csv`), await exportWhole(db, type));
    }
    const plane = join(directory, 'plane.csv');
    writeFileSync(plane, typed.map((text) => csvLine([text, -1, text])).join(''));
    return [...files, plane];
  } finally {
    await db.close();
    await servers.stop();
  }
}

async function fill(db: Database): Promise<void> {
  const niche = await makeNiche(db, { name: '=1+1' });
  for (const text of typed) {
    const { id } = await makeLead(db, { nicheId: niche.id, source: text, form: { what: text } });
    await db.query(
      sql`update lead set name = ${text}, email = ${text}, phone_e164 = ${text}, campaign = ${text} where id = ${id}`,
    );
  }
  const { id } = await makeProvider(db, { company: '=1+1' });
  await db.query(sql`insert into account (provider_id, balance_cents, version) values (${id}, 500, 2)`);
  await db.query(sql`
    insert into ledger_entry (provider_id, account_version, kind, amount_cents, balance_after_cents, actor, memo, correlation_id) values
      (${id}, 1, 'manual_credit', 2000, 2000, 'proof', '=1+1', 'proof'), (${id}, 2, 'manual_debit', -1500, 500, 'proof', '-1+1', 'proof')`);
}

interface Opened {
  readonly formulas: number;
  readonly links: number;
  readonly rows: number;
  /** Cells that are the numbers 20 or -15. */
  readonly amounts: number;
}

type Separator = ',' | ';' | '\t';

/** How it is opened: whether texts that look like formulas are evaluated, and what stands between cells. */
interface Opening {
  readonly directory: string;
  readonly evaluate: boolean;
  readonly separator: Separator;
}

/** The separator, quotes, UTF-8, from the first line; the last says whether a text that looks like a formula is one. */
const asCsv = ({ separator, evaluate }: Opening) =>
  `CSV:${separator.charCodeAt(0)},34,76,1,,0,false,true,false,false,false,0,${evaluate}`;

/** Opens a file and reads what the program made of it, from its own flat format. */
function open(office: string, file: string, opening: Opening): Opened {
  const { directory } = opening;
  const profile = `-env:UserInstallation=file://${directory}/profile`;
  const args = [
    profile,
    '--headless',
    `--infilter=${asCsv(opening)}`,
    '--convert-to',
    'fods',
    '--outdir',
    directory,
    file,
  ];
  execFileSync(office, args, { stdio: 'ignore', timeout: 120_000 });
  const text = readFileSync(join(directory, `${basename(file, '.csv')}.fods`), 'utf8');
  const rows = [...text.matchAll(/<table:table-row\b[^>]*?(\/>|>.*?<\/table:table-row>)/gs)];
  return {
    formulas: [...text.matchAll(/table:formula=/g)].length,
    links: [...text.matchAll(/xlink:href="(?!\.)/g)].length,
    rows: rows.filter(([row]) => row.includes('office:value-type')).length,
    amounts: [...text.matchAll(/office:value-type="float" office:value="(20|-15)"/g)].length,
  };
}

const sum = (found: readonly Opened[], field: 'formulas' | 'links') =>
  found.reduce((total, one) => total + one[field], 0);
