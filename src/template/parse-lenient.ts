/**
 * JSON as Azure's tools write it and its service takes it: comments, trailing commas, single quotes, unquoted keys,
 * strings over several lines, a byte-order mark. Locations are kept, because errors name line and column.
 */
import { parse, type ValueNode } from '@humanwhocodes/momoa';
import { PoolhouseError } from '../core/errors.ts';
import { setMember, type Json, type JsonObject } from '../core/json.ts';

export interface Location {
  /** Both begin with 1. */
  line: number;
  column: number;
}

export interface LocatedJson {
  value: Json;
  /** Where the value at this path begins; undefined where there is none. Member names ignore case. */
  locate(path: readonly (string | number)[]): Location | undefined;
  /** The text of the value at this path, as it was written. */
  textAt(path: readonly (string | number)[]): string | undefined;
}

const largestText = 5 * 2 ** 20;
const deepestNesting = 100;

// Raw line ends inside strings are no JSON5. They stand in for them while parsing, one character for one, so that all
// offsets stay true.
const lineFeed = '\uE00A';
const carriageReturn = '\uE00D';
const tab = '\uE009';

/** Reads a text; `InvalidRequestContent` with line and column where it cannot be. */
export function parseLenient(text: string): LocatedJson {
  if (text.length > largestText) {
    throw new PoolhouseError('InvalidRequestContent', `The text is larger than ${largestText / 2 ** 20} MB.`);
  }
  const prepared = prepare(text.startsWith('\uFEFF') ? ` ${text.slice(1)}` : text);
  let body: ValueNode;
  try {
    body = parse(prepared, { mode: 'json5', allowTrailingCommas: true }).body;
  } catch (error) {
    throw syntaxError(error, text);
  }
  return {
    value: valueOf(body),
    locate(path) {
      const node = nodeAt(body, path);
      return node === undefined ? undefined : locationOf(text, node.loc.start.offset);
    },
    textAt(path) {
      const node = nodeAt(body, path);
      return node === undefined ? undefined : text.slice(node.loc.start.offset, node.loc.end.offset);
    },
  };
}

function syntaxError(error: unknown, text: string): PoolhouseError {
  const words = error instanceof Error ? error.message : 'not valid JSON';
  const place = error as { line?: unknown; column?: unknown; offset?: unknown }; // momoa's errors carry where they happened
  const location = typeof place.offset === 'number' ? locationOf(text, place.offset) : undefined;
  const where = location === undefined ? '' : ` at line '${location.line}' and position '${location.column}'`;
  return new PoolhouseError(
    'InvalidRequestContent',
    `The content is not valid JSON${where}: ${words.replace(/\s*\(\d+:\d+\)$/, '')}`,
    { cause: error },
  );
}

function locationOf(text: string, offset: number): Location {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return { line, column: offset - before.lastIndexOf('\n') };
}

function refused(text: string, offset: number, why: string): PoolhouseError {
  const { line, column } = locationOf(text, offset);
  return new PoolhouseError(
    'InvalidRequestContent',
    `The content is not valid JSON at line '${line}' and position '${column}': ${why}`,
  );
}

/**
 * Replaces raw line ends inside strings. Refuses what the parser must not meet: nesting too deep for its recursion, and
 * strings that are not closed, on some of which it never ends.
 */
function prepare(text: string): string {
  let result = '';
  let copied = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '/' && text[at + 1] === '/') {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else if (character === '/' && text[at + 1] === '*') {
      const end = text.indexOf('*/', at + 2);
      if (end < 0) throw refused(text, at, 'a comment is not closed');
      at = end + 1;
    } else if (character === '"' || character === "'") {
      const end = endOfString(text, at, character);
      if (end === undefined) throw refused(text, at, 'a string is not closed');
      const inner = text.slice(at, end);
      if (/[\n\r\t]/.test(inner)) {
        result +=
          text.slice(copied, at) +
          inner.replace(/\\?[\n\r\t]/g, (found) =>
            found.startsWith('\\') ? found : found === '\n' ? lineFeed : found === '\r' ? carriageReturn : tab,
          );
        copied = end;
      }
      at = end - 1;
    } else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > deepestNesting) throw refused(text, at, `it nests deeper than ${deepestNesting} levels`);
    } else if (character === '}' || character === ']') {
      depth -= 1;
    }
  }
  return result + text.slice(copied);
}

/** One past the closing quote; undefined where there is none. */
function endOfString(text: string, start: number, quote: string): number | undefined {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === quote) return at + 1;
  }
  return undefined;
}

function valueOf(node: ValueNode): Json {
  switch (node.type) {
    case 'String':
      return node.value.replace(/[\uE00A\uE00D\uE009]/g, (found) =>
        found === lineFeed ? '\n' : found === carriageReturn ? '\r' : '\t',
      );
    case 'Number':
    case 'Boolean':
      return node.value;
    case 'Null':
      return null;
    case 'Array':
      return node.elements.map((element) => valueOf(element.value));
    case 'Object': {
      const result: JsonObject = {};
      for (const member of node.members) setMember(result, nameOf(member.name), valueOf(member.value));
      return result;
    }
    case 'NaN':
    case 'Infinity':
      throw new PoolhouseError('InvalidRequestContent', `'${node.type}' is not a number that JSON knows.`);
  }
}

function nameOf(name: { type: 'String'; value: string } | { type: 'Identifier'; name: string }): string {
  return name.type === 'String' ? name.value : name.name;
}

function nodeAt(body: ValueNode, path: readonly (string | number)[]): ValueNode | undefined {
  let node: ValueNode | undefined = body;
  for (const step of path) {
    if (node?.type === 'Object') {
      const wanted = String(step).toLowerCase();
      node = node.members.find((member) => nameOf(member.name).toLowerCase() === wanted)?.value;
    } else if (node?.type === 'Array' && typeof step === 'number') node = node.elements[step]?.value;
    else return undefined;
  }
  return node;
}
