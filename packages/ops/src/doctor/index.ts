export { type DoctorPart, type DoctorReport, doctorReport, type ProbeResult } from './contract.ts';
export { type Doctor, type InvariantCounts, openDoctor } from './doctor.ts';
export {
  type BreachRow,
  findBreaches,
  type Found,
  type Invariant,
  type InvariantText,
} from './invariant.ts';
export { jobInvariants } from './job-invariants.ts';
export { letterInvariants } from './letter-invariants.ts';
export { diskPart, type Part, type PartFinding } from './parts.ts';
export { watchInvariants } from './watch.ts';
