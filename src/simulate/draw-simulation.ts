/** A dry run as a picture: instances over time against what was needed, and the people who waited. SVG, made by hand. */
import type { EpochMillis } from '../core/time.ts';
import type { SimulationWithCurves } from './simulate.ts';
import { peakOf } from './tally.ts';

const [width, height] = [960, 440];
const plot = { left: 56, right: 944, top: 88, bottom: 340 };
/** Beneath the plot, where people wait. */
const strip = { top: 356, bottom: 396 };
const colours = {
  setting: '#1668b8',
  usual: '#b06a00',
  needed: '#8fb98f',
  people: '#c8d4df',
  waiting: '#c0392b',
} as const;
const [hour, day] = [3_600_000, 86_400_000];

interface Point {
  at: EpochMillis;
  value: number;
}

export function drawSimulation({ simulation, replays, hindsight }: SimulationWithCurves): string {
  const { from, to, setting, usual } = simulation;
  const top = niceTop(Math.max(1, setting.peak, usual.peak));
  const x = (at: EpochMillis) => plot.left + ((at - from) / (to - from)) * (plot.right - plot.left);
  const y = (value: number) => plot.bottom - (value / top) * (plot.bottom - plot.top);
  const pointsOf = (replay: (typeof replays)['setting'], name: 'running' | 'busy' | 'waiting'): Point[] =>
    replay.timeline.map((moment) => ({ at: moment.at, value: moment[name] }));
  const line = (points: readonly Point[], y_: (value: number) => number) => steps(points, to, x, y_);
  const area = (points: readonly Point[], floor: number, y_: (value: number) => number) =>
    `M${round(plot.left)},${floor}${line(points, y_).replace('M', 'L')}V${floor}Z`;
  const needed = hindsight.timeline.map(({ at, instances }) => ({ at, value: instances }));
  const waiting = pointsOf(replays.setting, 'waiting');
  const mostWaiting = peakOf(replays.setting.timeline, 'waiting');
  const yWaiting = (value: number) =>
    strip.bottom - (mostWaiting === 0 ? 0 : (value / mostWaiting) * (strip.bottom - strip.top));

  const legend = [
    { colour: colours.setting, text: `this setting: ${setting.instanceHours.toFixed(0)} h` },
    { colour: colours.usual, text: `usual CPU rules: ${usual.instanceHours.toFixed(0)} h` },
    { colour: colours.people, text: 'instances with people' },
    { colour: colours.needed, text: `needed at least: ${simulation.hindsight.boundHours.toFixed(0)} h` },
  ];
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#2b3640">`,
    `<title>Instances over time</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${plot.left}" y="28" font-size="17" font-weight="600">Instances over time</text>`,
    `<text x="${plot.left}" y="47" fill="#5b6670">${simulation.people} people, ${simulation.sessions} sessions; with hindsight, nobody moved: ${simulation.hindsight.packedHours.toFixed(0)} h; ${(100 * setting.waiting.share5s).toFixed(1)} % waited less than 5 s</text>`,
    ...legend.map(
      ({ colour, text }, index) =>
        `<rect x="${plot.left + index * 200}" y="60" width="14" height="10" rx="2" fill="${colour}"/><text x="${plot.left + 20 + index * 200}" y="69">${text}</text>`,
    ),
    ...ticks(top).map(
      (value) =>
        `<path d="M${plot.left},${round(y(value))}H${plot.right}" stroke="#e3e8ec"/><text x="${plot.left - 8}" y="${round(y(value) + 4)}" text-anchor="end">${value}</text>`,
    ),
    `<text x="16" y="${(plot.top + plot.bottom) / 2}" transform="rotate(-90 16 ${(plot.top + plot.bottom) / 2})" text-anchor="middle" fill="#5b6670">instances</text>`,
    `<path d="${area(pointsOf(replays.setting, 'busy'), plot.bottom, y)}" fill="${colours.people}"/>`,
    `<path d="${area(needed, plot.bottom, y)}" fill="${colours.needed}"/>`,
    `<path d="${line(pointsOf(replays.usual, 'running'), y)}" fill="none" stroke="${colours.usual}" stroke-width="1.3"/>`,
    `<path d="${line(pointsOf(replays.setting, 'running'), y)}" fill="none" stroke="${colours.setting}" stroke-width="1.8"/>`,
    `<path d="M${plot.left},${plot.bottom}H${plot.right}" stroke="#7d8892"/>`,
    `<path d="${area(waiting, strip.bottom, yWaiting)}" fill="${colours.waiting}" stroke="${colours.waiting}"/>`,
    `<path d="M${plot.left},${strip.bottom}H${plot.right}" stroke="#7d8892"/>`,
    `<text x="${plot.left}" y="${strip.top + 6}" fill="${colours.waiting}">people who wait (at most ${mostWaiting})</text>`,
    ...times(from, to).map(
      ({ at, text }) =>
        `<path d="M${round(x(at))},${strip.bottom}v5" stroke="#7d8892"/><text x="${round(x(at))}" y="${strip.bottom + 19}" text-anchor="middle">${text}</text>`,
    ),
    `<text x="${plot.right}" y="${height - 8}" text-anchor="end" fill="#5b6670">time, UTC</text>`,
    `</svg>`,
  ].join('\n')}\n`;
}

/** A curve that stays as it is between its points; of those that fall on one place the highest counts. */
function steps(
  points: readonly Point[],
  to: EpochMillis,
  x: (at: EpochMillis) => number,
  y: (value: number) => number,
): string {
  const [first] = points;
  if (first === undefined) return '';
  let path = `M${round(x(first.at))},${round(y(first.value))}`;
  for (const { at, value } of points.slice(1)) path += `H${round(x(at))}V${round(y(value))}`;
  return `${path}H${round(x(to))}`;
}

const round = (value: number) => Number(value.toFixed(1));

function niceTop(value: number): number {
  const size = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 3, 4, 5, 6, 8, 10].find((one) => one * size >= value) ?? 10;
  return Math.max(4, factor * size);
}

/** About four, at whole numbers. */
function ticks(top: number): number[] {
  const step = Math.max(1, Math.round(top / 4));
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, index) => index * step);
}

function times(from: EpochMillis, to: EpochMillis): { at: EpochMillis; text: string }[] {
  const span = to - from;
  const step =
    [hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day].find((one) => span / one <= 14) ?? 14 * day;
  const marks: { at: EpochMillis; text: string }[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const iso = new Date(at).toISOString();
    marks.push({ at, text: step < day && at % day !== 0 ? iso.slice(11, 16) : iso.slice(5, 10) });
  }
  return marks;
}
