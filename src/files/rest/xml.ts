/** Just as much XML as answers need. Pure. */

export type XmlPart = string | undefined;

/** An element whose content is text. */
export function textElement(name: string, text: string | number | undefined): string {
  return text === undefined || text === '' ? `<${name} />` : `<${name}>${escapeXml(String(text))}</${name}>`;
}

/** An element whose content are elements. */
export function element(
  name: string,
  parts: readonly XmlPart[],
  attributes: Readonly<Record<string, string>> = {},
): string {
  const words = Object.entries(attributes).map(([key, value]) => ` ${key}="${escapeXml(value)}"`);
  return `<${name}${words.join('')}>${parts.filter((part) => part !== undefined).join('')}</${name}>`;
}

export function xmlDocument(root: string): string {
  return `\uFEFF<?xml version="1.0" encoding="utf-8"?>${root}`;
}

const named: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** What XML cannot hold, whatever is done. */
const unfit = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

/** A sign that XML cannot hold becomes one that says so: an answer in which a name is repeated is XML whatever the name. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(unfit, '\ufffd')
    .replace(/[&<>"']/g, (sign) => named[sign] ?? '');
}

export function fitsXml(text: string): boolean {
  return text.isWellFormed() && text.search(unfit) < 0;
}
