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

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => named[sign] ?? '');
}

/** False for what XML cannot hold, whatever is done. */
export function fitsXml(text: string): boolean {
  return text.isWellFormed() && !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text);
}
