import type { Call, LanguageFunction } from '../evaluate.ts';
import { ExpressionError } from '../template-error.ts';
import { text, whole } from './arguments.ts';

/** ISO 8601 durations: `P1DT2H`, `-PT30M`. Months and years count as the calendar has them. */
function addDuration(base: Date, duration: string): Date {
  const match = /^(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/.exec(
    duration,
  );
  if (match === null || duration.length < 3)
    throw new ExpressionError(`'${duration.slice(0, 60)}' is not an ISO 8601 duration such as 'P1D' or '-PT30M'`);
  const sign = match[1] === undefined ? 1 : -1;
  const amount = (index: number) => sign * Number(match[index] ?? 0);
  const result = new Date(base);
  result.setUTCFullYear(
    result.getUTCFullYear() + amount(2),
    result.getUTCMonth() + amount(3),
    result.getUTCDate() + amount(4) * 7 + amount(5),
  );
  return new Date(result.getTime() + ((amount(6) * 60 + amount(7)) * 60 + amount(8)) * 1_000);
}

/** The date, unless it lies outside of the years that the service knows: 1 to 9999. */
function inRange(call: Call, date: Date): Date {
  const year = date.getUTCFullYear();
  if (!(year >= 1 && year <= 9_999))
    throw new ExpressionError(
      `Unable to evaluate template language function '${call.name}': the date lies outside of the years 1 to 9999`,
    );
  return date;
}

const pad = (value: number, width: number) => String(value).padStart(width, '0');

/** The usual .NET patterns; `yyyyMMddTHHmmssZ` where none is given, as `utcNow` prints. */
function format(date: Date, pattern: string): string {
  if (pattern === 'd') return `${date.getUTCMonth() + 1}/${date.getUTCDate()}/${date.getUTCFullYear()}`;
  if (pattern === 'u') return `${date.toISOString().slice(0, 19).replace('T', ' ')}Z`;
  if (pattern === 'o' || pattern === 'O') return date.toISOString().replace('Z', '0000Z');
  if (pattern === 's') return date.toISOString().slice(0, 19);
  return pattern.replace(/yyyy|yy|MM|M|dd|d|HH|H|mm|m|ss|s|f{1,7}|'[^']*'/g, (token) => {
    if (token.startsWith("'")) return token.slice(1, -1);
    if (token.startsWith('f')) return pad(date.getUTCMilliseconds(), 3).padEnd(7, '0').slice(0, token.length);
    const parts: Record<string, number> = {
      y: date.getUTCFullYear(),
      M: date.getUTCMonth() + 1,
      d: date.getUTCDate(),
      H: date.getUTCHours(),
      m: date.getUTCMinutes(),
      s: date.getUTCSeconds(),
    };
    const value = parts[token.charAt(0)] ?? 0;
    return token === 'yy' ? pad(value % 100, 2) : pad(value, token.length);
  });
}

const usual = "yyyyMMdd'T'HHmmss'Z'";

function parse(value: string): Date {
  const compact = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/.exec(value);
  const date = new Date(
    compact === null
      ? /(Z|[+-]\d{2}:?\d{2})$/.test(value)
        ? value
        : `${value.replace(' ', 'T')}Z`
      : `${compact.slice(1, 4).join('-')}T${compact.slice(4).join(':')}Z`,
  );
  if (Number.isNaN(date.getTime())) throw new ExpressionError(`'${value.slice(0, 60)}' is not a date and time`);
  return date;
}

export const dates: Record<string, LanguageFunction> = {
  utcnow: (call) => {
    if (!call.environment.scope.inDefaults)
      throw new ExpressionError(
        `The function 'utcNow' is not expected at this location: it can be used in the default value of a parameter only`,
      );
    return format(new Date(call.environment.scope.now), call.count > 0 ? text(call, 0) : usual);
  },
  datetimeadd: (call) =>
    format(
      inRange(call, addDuration(inRange(call, parse(text(call, 0))), text(call, 1))),
      call.count > 2 ? text(call, 2) : "yyyy-MM-dd'T'HH:mm:ss'Z'",
    ),
  datetimefromepoch: (call) => format(inRange(call, new Date(whole(call, 0) * 1_000)), "yyyy-MM-dd'T'HH:mm:ss'Z'"),
  datetimetoepoch: (call) => Math.floor(inRange(call, parse(text(call, 0))).getTime() / 1_000),
};
