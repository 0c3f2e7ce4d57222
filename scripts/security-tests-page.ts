import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { code, page, table } from './markdown.ts';
import { type SecurityTest, securityTests } from './security-tests.ts';

const intro = `Threats, the requirement of [OWASP ASVS 4.0.3](https://owasp.org/www-project-application-security-verification-standard/) that each breaks,
and the tests that show it does not. \`npm test\` runs them all. This is a list of tests, and no claim that the whole standard is met.`;

/** The tests of security by requirement. Throws when a file has no test of a title: a renamed one would be lost otherwise. */
export function securityTestsPage(): string {
  const lost = Object.values(securityTests)
    .flat()
    .flatMap(({ tests }) => tests.filter(([file, title]) => !isIn(file, title)));
  if (lost.length > 0) throw new Error(`no such test: ${lost.map((one) => one.join(': ')).join('; ')}`);
  const sections = Object.entries(securityTests).map(
    ([chapter, rows]) => `## ${chapter}\n\n${table(['ASVS', 'threat', 'tests'], rows.map(rowOf))}`,
  );
  return page('Security tests', [intro, ...sections]);
}

function isIn(file: string, title: string): boolean {
  return readFileSync(join(dirname(import.meta.dirname), file), 'utf8').includes(title);
}

function rowOf({ requirement, threat, tests }: SecurityTest): string[] {
  return [requirement, threat, tests.map(([file, title]) => `“${title}”, ${code(file)}`).join('<br>')];
}
