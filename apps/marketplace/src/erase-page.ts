import { linkPage } from './link-page.ts';

/** What the link at the end of every mail to a consumer opens. */
export const erasePage = linkPage({
  title: 'Remove your data',
  text: 'Your name, address, phone number and answers are removed from this request, for good. If nobody has bought it yet, nobody will.',
  button: 'Remove my data',
  postTo: '/api/v1/leads/erase',
  done: 'Your data has been removed from this request.',
  told: { 404: 'We do not know this link. Please open it from the mail again.' },
});
