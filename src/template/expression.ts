/** The template language's expressions as syntax trees. `[…]` is an expression, `[[…` a text that begins with a bracket. */
import { ExpressionError } from './template-error.ts';

export type Expression =
  | { kind: 'literal'; value: string | number }
  | { kind: 'call'; namespace?: string; name: string; args: Expression[] }
  | { kind: 'property'; of: Expression; name: string }
  | { kind: 'index'; of: Expression; index: Expression };

const deepest = 64;
const longest = 24_576;

/** True when a string of a template is an expression. */
export function isExpression(text: string): boolean {
  return text.startsWith('[') && text.endsWith(']') && !text.startsWith('[[');
}

/** The text that a string without an expression means. */
export function literalText(text: string): string {
  return text.startsWith('[[') ? text.slice(1) : text;
}

/** Parses `[…]`; `ExpressionError` where it cannot be. */
export function parseExpression(text: string): Expression {
  if (text.length > longest) throw new ExpressionError(`The expression is longer than ${longest} characters`);
  const source = text.slice(1, -1);
  let at = 0;

  const fail = (message: string): never => {
    throw new ExpressionError(
      `Unable to parse language expression '${source.length > 200 ? `${source.slice(0, 200)}…` : source}': ${message} at position '${at}'`,
    );
  };
  const space = () => {
    while (at < source.length && /\s/.test(source[at] ?? '')) at += 1;
  };
  const take = (symbol: string) => {
    space();
    if (source[at] !== symbol)
      fail(
        at >= source.length
          ? `expected '${symbol}', found the end`
          : `expected '${symbol}', found '${source[at] ?? ''}'`,
      );
    at += 1;
  };
  const peek = () => {
    space();
    return source[at];
  };
  const identifier = (): string => {
    space();
    const match = /^[A-Za-z_$][\w$]*/.exec(source.slice(at, at + 300));
    if (match === null)
      return fail(
        at >= source.length ? 'expected a name, found the end' : `expected a name, found '${source[at] ?? ''}'`,
      );
    at += match[0].length;
    return match[0];
  };

  function string(): Expression {
    let value = '';
    at += 1;
    for (;;) {
      const end = source.indexOf("'", at);
      if (end < 0) return fail('the text is not closed');
      value += source.slice(at, end);
      at = end + 1;
      if (source[at] !== "'") return { kind: 'literal', value };
      value += "'"; // a doubled quote stands for one
      at += 1;
    }
  }

  function call(depth: number): Expression {
    let name = identifier();
    let namespace: string | undefined;
    if (peek() === '.') {
      at += 1;
      namespace = name;
      name = identifier();
    }
    take('(');
    const args: Expression[] = [];
    if (peek() !== ')') {
      for (;;) {
        args.push(expression(depth + 1));
        if (peek() !== ',') break;
        at += 1;
      }
    }
    take(')');
    return { kind: 'call', name, args, ...(namespace === undefined ? {} : { namespace }) };
  }

  function expression(depth: number): Expression {
    if (depth > deepest) return fail(`it nests deeper than ${deepest} levels`);
    const first = peek();
    let result: Expression;
    if (first === "'") result = string();
    else if (first !== undefined && /[-+\d]/.test(first)) {
      const match = /^[-+]?\d{1,18}(\.\d{1,18})?/.exec(source.slice(at, at + 40));
      if (match === null) return fail('expected a number');
      at += match[0].length;
      result = { kind: 'literal', value: Number(match[0]) };
    } else result = call(depth);
    for (;;) {
      const next = peek();
      if (next === '.') {
        at += 1;
        result = { kind: 'property', of: result, name: identifier() };
      } else if (next === '[') {
        at += 1;
        result = { kind: 'index', of: result, index: expression(depth + 1) };
        take(']');
      } else return result;
    }
  }

  const result = expression(0);
  if (peek() !== undefined) fail(`unexpected '${source[at] ?? ''}'`);
  return result;
}
