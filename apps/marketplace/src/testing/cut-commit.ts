import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { type Database, openDatabase } from '@fmhl/ops';

/** Where a connection is lost: with its COMMIT on the way, which then never happens, or with the answer on the way back. */
export type Cut = 'before' | 'after';

/** A database behind a wire that can be cut. */
export interface CuttableDatabase {
  readonly db: Database;
  /** For other ways over the same wire. */
  readonly url: string;
  /** Cuts the connection of the next COMMIT, or of a later one; without `at`, takes that back. */
  cutNext(at?: Cut, options?: { readonly skip: number }): void;
  /** Cuts that were made. */
  readonly cuts: number;
  close(): Promise<void>;
}

/** Opens a second way to the database of `url`, which loses the connection of a COMMIT when it is told to. */
export async function openCuttableDatabase(url: string, poolSize = 10): Promise<CuttableDatabase> {
  const target = targetOf(url);
  const wire: Wire = { next: undefined, skip: 0, cuts: 0, sockets: new Set<Socket>() };
  const server = createServer((client) => forward(client, connect(target), wire));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const through = throughPort(url, port);
  const db = openDatabase({ url: through, poolSize });
  return {
    db,
    url: through,
    cutNext: (at, { skip } = { skip: 0 }) => {
      wire.next = at;
      wire.skip = skip;
    },
    get cuts() {
      return wire.cuts;
    },
    async close() {
      await db.close();
      for (const socket of wire.sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Wire {
  next: Cut | undefined;
  /** COMMITs to let pass before the cut. */
  skip: number;
  cuts: number;
  readonly sockets: Set<Socket>;
}

function forward(client: Socket, server: Socket, wire: Wire): void {
  let isLost = false;
  for (const socket of [client, server]) {
    wire.sockets.add(socket);
    socket
      .on('error', () => {})
      .on('close', () => {
        wire.sockets.delete(socket);
        (socket === client ? server : client).destroy();
      });
  }
  client.on('data', (bytes) => {
    const cut = isCommit(bytes) && wire.next !== undefined && wire.skip-- <= 0 ? wire.next : undefined;
    if (cut !== undefined) {
      wire.next = undefined;
      wire.cuts += 1;
      if (cut === 'before') return void server.destroy();
      isLost = true;
    }
    server.write(bytes);
  });
  server.on('data', (bytes) => (isLost ? client.destroy() : client.write(bytes)));
}

/** A simple query `commit`, as a pool sends it: the letter, the length, the text and a NUL. */
const isCommit = (bytes: Buffer) => bytes[0] === 0x51 && bytes.toString('latin1', 5).toLowerCase() === 'commit\0';

/** Also `?host=/directory`, where the server listens at a socket in place of a port. */
function targetOf(url: string): NetConnectOpts {
  const { hostname, port, searchParams } = new URL(url);
  const directory = searchParams.get('host');
  const number = searchParams.get('port') ?? (port || '5432');
  if (directory?.startsWith('/')) return { path: `${directory}/.s.PGSQL.${number}` };
  return { host: directory ?? hostname, port: Number(number) };
}

function throughPort(url: string, port: number): string {
  const through = new URL(url);
  through.searchParams.delete('host');
  through.searchParams.delete('port');
  through.hostname = '127.0.0.1';
  through.port = String(port);
  return through.href;
}
