export {
  type CatchUp,
  type Counts,
  defineSchedule,
  type ScheduleContext,
  type ScheduleDefinition,
  type ScheduleOptions,
} from './definition.ts';
