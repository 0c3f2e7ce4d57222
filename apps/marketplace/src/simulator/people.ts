import type { Random } from './random.ts';

const firstNames =
  'Ada Ben Carla Dev Edie Frank Grace Hugo Ines Jamal Kaori Liam Maya Noor Omar Petra Quinn Rosa Sam Tess Uma Viktor Wendy Xavier Yara Zoe Aldo Bea Cleo Dora Elif Fay'.split(
    ' ',
  );
const lastNames =
  'Moreno Okafor Jensen Patel Laurent Silva Lin Novak Kim Haddad Ito Byrne Rossi Khan Ferrari Horvat Reyes Costa Meyer Olsen Dubois Ivanov Park Mendez Nakata Weber Sorensen Aziz Popov Tanaka Duarte Falk'.split(
    ' ',
  );
const companyHeads =
  'Bay Lone Golden River Summit Prairie Harbor Maple Granite Sunrise Cedar Copper Blue North Liberty Pioneer Canyon Evergreen Keystone Lakeside'.split(
    ' ',
  );
const companyTails = 'Brothers Partners Works Group Company Services Crew Direct Collective House'.split(' ');

/** Area codes in use, so that the numbers have a valid form; the lines 555-0100 to 555-0199 of each are kept for fiction. */
const areaCodes =
  '201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251 252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318 319 320 321 323 325 330 334 336 337 339 347 351 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 425 432 434 435 440 443 469 478 479 480 484 501 502 503 504 505 507 508 509 510 512 513 515 516 517 518 520 530 540 541 551 559 561 562 563 567 570 571 573 574 580 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 623 626 630 631 636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708 712 713 714 715 716 717 718 719 720 724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785 786 801 802 803 804 805 806 808 810 812 813 814 815 816 817 818 828 830 831 832 843 845 847 848 850 856 857 858 859 860 862 863 864 865 870 901 903 904 906 907 908 909 910 912 913 914 915 916 917 918 919 920 925 928 931 936 937 940 941 949 951 952 954 956 970 971 972 973 978 979 980 985 989'.split(
    ' ',
  );

/** So many people of one niche can have a number of their own. */
export const phoneNumbers = areaCodes.length * 100;

/** The nth number, in E.164; undefined when there is none left. */
export function phoneOf(nth: number): string | undefined {
  if (nth >= phoneNumbers) return undefined;
  return `+1${areaCodes[nth % areaCodes.length]}55501${String(Math.floor(nth / areaCodes.length)).padStart(2, '0')}`;
}

/** What becomes of mails to an address: its host tells a mail server that plays along. */
export const mailHosts = {
  accepted: 'example.com',
  greylisted: 'greylisted.test',
  bounced: 'bounced.test',
  slow: 'slow.test',
} as const;

export type MailFate = keyof typeof mailHosts;

export interface Person {
  readonly name: string;
  readonly email: string;
}

/** A person whose address nobody else has, at a host that does not exist. */
export function personOf(random: Random, { tag, fate }: { tag: string | number; fate: MailFate }): Person {
  const [first, last] = [random.pick(firstNames), random.pick(lastNames)];
  return { name: `${first} ${last}`, email: `${first}.${last}.${tag}@${mailHosts[fate]}`.toLowerCase() };
}

export function companyOf(random: Random, trade: string): string {
  return `${random.pick(companyHeads)} ${trade} ${random.pick(companyTails)}`;
}
