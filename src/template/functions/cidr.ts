import type { LanguageFunction } from '../evaluate.ts';
import { ExpressionError } from '../template-error.ts';
import { text, whole } from './arguments.ts';

interface Network {
  start: number;
  bits: number;
}

function parse(value: string): Network {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(value);
  const parts = match?.slice(1, 5).map(Number) ?? [];
  const bits = Number(match?.[5] ?? 99);
  if (bits > 32 || parts.some((part) => part > 255))
    throw new ExpressionError(`'${value.slice(0, 60)}' is not an IPv4 network in CIDR notation`);
  const address = parts.reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - bits);
  return { start: Math.floor(address / size) * size, bits };
}

const print = (address: number) => [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');

export const cidr: Record<string, LanguageFunction> = {
  parsecidr: (call) => {
    const { start, bits } = parse(text(call, 0));
    const size = 2 ** (32 - bits);
    const usable = bits < 31 ? 1 : 0;
    return {
      network: print(start),
      netmask: print(2 ** 32 - size),
      broadcast: print(start + size - 1),
      firstUsable: print(start + usable),
      lastUsable: print(start + size - 1 - usable),
      cidr: bits,
    };
  },
  cidrsubnet: (call) => {
    const { start, bits } = parse(text(call, 0));
    const [wanted, index] = [whole(call, 1), whole(call, 2)];
    if (wanted < bits || wanted > 32 || index < 0 || index >= 2 ** (wanted - bits))
      throw new ExpressionError(`The network '${text(call, 0)}' has no subnet ${index} of /${wanted}`);
    return `${print(start + index * 2 ** (32 - wanted))}/${wanted}`;
  },
  cidrhost: (call) => {
    const { start, bits } = parse(text(call, 0));
    const index = whole(call, 1);
    if (index < 0 || index >= 2 ** (32 - bits) - 1)
      throw new ExpressionError(`The network '${text(call, 0)}' has no host ${index}`);
    return print(start + index + 1);
  },
};
