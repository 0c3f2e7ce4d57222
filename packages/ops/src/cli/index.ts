export {
  type OperationsAnswer,
  type OperationsClient,
  type OperationsRequest,
  type OperationsStream,
} from './client.ts';
export { exitCodes, type ExitCode } from './exit-codes.ts';
export { type HttpClientOptions, openHttpClient } from './http-client.ts';
export { type LocalClientOptions, openLocalClient } from './local-client.ts';
export { localOperator } from './local-operator.ts';
export {
  operationsCommands,
  type OperationsCommandsOptions,
  type OperationsEnvironment,
} from './operations-commands.ts';
export { type CommandReference, commandsReference } from './reference.ts';
export type { Streams } from './print/terminal.ts';
