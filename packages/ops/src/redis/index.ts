export {
  connectRedis,
  type RedisOptions,
  RedisTimeout,
  refuseEviction,
  withDeadline,
  workerConnection,
} from './connect.ts';
