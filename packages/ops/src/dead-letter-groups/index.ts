export { addNote, assign, linkTicket, type Note, readNotes } from './annotate.ts';
export { type FixedIn, markFixed } from './fixed-in.ts';
export { type GroupState, stateOf } from './group-state.ts';
export { type GroupList, type GroupsDeps, type GroupsRequest, listGroups } from './list-groups.ts';
export type { Group } from './read-groups.ts';
export { beginReclassification, previewReclassification, type Reclassification } from './reclassify.ts';
export { type GroupDetail, resolveFingerprint, showGroup } from './show-group.ts';
export { snooze, type SnoozeRequest, wake } from './snooze.ts';
export type { Annotations, Subject } from './subject.ts';
export { openSnoozeWaker, wakeOnce } from './waker.ts';
export {
  annotations,
  assigneeBody,
  deadLetterGroup,
  deadLetterGroupDetail,
  deadLetterGroups,
  deadLetterNote,
  deadLetterNotes,
  fixedInBody,
  type GroupSort,
  groupSorts,
  noteBody,
  reclassification,
  reclassifyBody,
  snoozeBody,
  ticketBody,
  wakeBody,
} from './contract.ts';
