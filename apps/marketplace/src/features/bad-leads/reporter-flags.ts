import type { ReportHistory, ReporterFlag } from './contract.ts';

/** What a provider bought in 30 days and reported of it. */
export type ReportCounts = Pick<
  ReportHistory,
  'assignments' | 'reported' | 'decided' | 'approved' | 'peers' | 'peers_reported'
>;

export const noReports: ReportCounts = {
  assignments: 0,
  reported: 0,
  decided: 0,
  approved: 0,
  peers: 0,
  peers_reported: 0,
};

/** Below this many, a share says nothing. */
const fewest = 5;
const oftenShare = 0.25;
const mostlyRejectedBelow = 0.5;
const peersDisagreeBelow = 0.2;

const share = (part: number, whole: number) => (whole === 0 ? null : part / whole);

/** What a judge should look at before believing one more report of this provider. */
export function flagsOf({
  assignments,
  reported,
  decided,
  approved,
  peers,
  peers_reported,
}: ReportCounts): ReporterFlag[] {
  const flags: Record<ReporterFlag, boolean> = {
    reports_often: reported >= fewest && reported / assignments >= oftenShare,
    mostly_rejected: decided >= fewest && approved / decided < mostlyRejectedBelow,
    peers_disagree: reported >= fewest && peers >= fewest && peers_reported / peers < peersDisagreeBelow,
  };
  return (Object.keys(flags) as ReporterFlag[]).filter((name) => flags[name]);
}

export function historyOf(counts: ReportCounts): ReportHistory {
  return {
    ...counts,
    reported_share: share(counts.reported, counts.assignments),
    approval_rate: share(counts.approved, counts.decided),
    flags: flagsOf(counts),
  };
}
