/** Walks the imports of a tree against the import table. */
import {
  contractPackages,
  features,
  operations,
  packages,
  type Restricted,
  restricted,
  type Slices,
} from './import-table.ts';
import { type Fault, type Import, importsOf, isTest, readSources, type Source } from './sources.ts';

const folders = ['packages', 'apps', 'examples', 'checks'];

type Edge = Import & { file: string };

export function findImportFaults(root: string): Fault[] {
  const sources = readSources(root, folders);
  const edges = sources.flatMap((source) => importsOf(source, root).map((each) => ({ ...each, file: source.path })));
  return [...sources.flatMap(unknownSlice), ...edges.flatMap(faultsOf), ...contractFaults(edges), ...cyclesOf(edges)];
}

function faultsOf(edge: Edge): Fault[] {
  const rules = { package: packageFault, slice: sliceFault, restricted: restrictedFault };
  return Object.entries(rules).flatMap(([rule, find]) => {
    const message = find(edge);
    return message === undefined ? [] : [{ file: edge.file, line: edge.line, rule, message }];
  });
}

/** Across workspaces: by package name only, and only what the table lists. */
function packageFault({ file, specifier, target }: Edge): string | undefined {
  const home = packages.find(({ root }) => isUnder(file, root));
  if (!home) return undefined;
  if (target !== undefined) {
    return isUnder(target, workspaceOf(file)) ? undefined : `leaves ${workspaceOf(file)} by a relative path`;
  }
  const allowed = [...home.mayImport, ...(isForTests(file) ? (home.inTests ?? []) : [])];
  if (!specifier.startsWith('@fmhl/') || allowed.includes(specifier)) return undefined;
  return `${home.root} may not import ${specifier}`;
}

/** A contract runs in browsers, and so does all that it imports, however far away. */
function contractFaults(edges: Edge[]): Fault[] {
  const values = edges.filter(({ typeOnly }) => !typeOnly);
  const contractOf = new Map(edges.filter(({ file }) => isContract(file)).map(({ file }) => [file, file]));
  for (const [file, contract] of contractOf) {
    const targets = values.flatMap((edge) => (edge.file === file && edge.target !== undefined ? [edge.target] : []));
    for (const target of targets) contractOf.set(target, contractOf.get(target) ?? contract);
  }
  const strays = values.filter(
    ({ file, specifier, target }) =>
      contractOf.has(file) && target === undefined && !contractPackages.includes(specifier),
  );
  return strays.map(({ file, line, specifier }) => {
    const place = isContract(file) ? 'a contract' : `a file that ${contractOf.get(file)} imports`;
    return { file, line, rule: 'contract', message: `${place} may not import ${specifier}` };
  });
}

/** Between slices: by `index.ts`, and as the table says. */
function sliceFault(edge: Edge): string | undefined {
  return slicesFault(operations, edge) ?? slicesFault(features, edge);
}

function slicesFault(slices: Slices, { file, target }: Edge): string | undefined {
  if (target === undefined || !isUnder(target, slices.root)) return undefined;
  const to = sliceOf(slices, target);
  const from = sliceOf(slices, file);
  if (from !== undefined && from === to) return undefined;
  if (to === undefined) {
    const mayCompose = from === undefined || from === slices.forTests || isTest(file);
    return mayCompose ? undefined : `the slice ${from} may not import the composition`;
  }
  const isEntrance = target === `${slices.root}/${to}/index.ts` || (isContract(file) && isContract(target));
  if (!isEntrance) return `the slice ${to} is imported by its index.ts only`;
  if (isTest(file)) return undefined;
  if (to === slices.forTests) return `${to} is for tests`;
  if (from === undefined || (slices.mayImport[from] ?? []).includes(to)) return undefined;
  return `the slice ${from} may not import ${to}`;
}

function restrictedFault({ file, target }: Edge): string | undefined {
  if (target === undefined || isTest(file)) return undefined;
  const rule = restricted.find(({ path }) => target === path || isUnder(target, path));
  if (!rule || isUnder(file, rule.path) || isAllowedFrom(file, rule)) return undefined;
  return `${rule.path} may be imported by ${rule.importedBy.join(', ') || 'nobody'}: ${rule.because}`;
}

function isAllowedFrom(file: string, { importedBy }: Restricted): boolean {
  const [, place = ''] = /^apps\/[^/]+\/src\/(.*)$/.exec(file) ?? [];
  const [head = ''] = place.split('/');
  const isTop = head === place;
  return importedBy.includes(head) || (isTop && importedBy.includes('top'));
}

/** A slice that the table does not know has no place yet. */
function unknownSlice({ path }: Source): Fault[] {
  return [operations, features].flatMap((slices) => {
    const slice = sliceOf(slices, path);
    if (slice === undefined || slice === slices.forTests || slice in slices.mayImport) return [];
    return [{ file: path, line: 1, rule: 'slice', message: `${slice} has no row in checks/import-table.ts` }];
  });
}

function cyclesOf(edges: Edge[]): Fault[] {
  const graph = new Map<string, Edge[]>();
  for (const edge of edges) {
    if (edge.target === undefined || edge.typeOnly) continue;
    graph.set(edge.file, [...(graph.get(edge.file) ?? []), edge]);
  }
  const finished = new Set<string>();
  return [...graph.keys()].flatMap((file) => cyclesFrom(file, [], graph, finished));
}

function cyclesFrom(file: string, path: string[], graph: Map<string, Edge[]>, finished: Set<string>): Fault[] {
  if (finished.has(file)) return [];
  const faults = (graph.get(file) ?? []).flatMap((edge) => {
    const { target = '' } = edge;
    const knot = [...path, file];
    const start = knot.indexOf(target);
    if (start === -1) return cyclesFrom(target, knot, graph, finished);
    const message = `a cycle of value imports: ${[...knot.slice(start), target].join(' → ')}`;
    return [{ file, line: edge.line, rule: 'cycle', message }];
  });
  finished.add(file);
  return faults;
}

const isUnder = (path: string, folder: string): boolean => path.startsWith(`${folder}/`);

const isContract = (path: string): boolean => path.endsWith('/contract.ts');

const isForTests = (path: string): boolean => isTest(path) || path.includes('/testing/');

const workspaceOf = (path: string): string => {
  const [first = '', second = ''] = path.split('/');
  return first === 'checks' ? first : `${first}/${second}`;
};

function sliceOf({ root }: Slices, path: string): string | undefined {
  if (!isUnder(path, root)) return undefined;
  const [head = '', ...rest] = path.slice(root.length + 1).split('/');
  return rest.length === 0 ? undefined : head;
}
