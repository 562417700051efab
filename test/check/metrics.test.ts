/** docs/metrics.md, the dashboard and the alert rules say what the processes have, and nothing else; and by the conventions. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { createControlMetrics } from '../../src/control/control-metrics.ts';
import { createGatewayMetrics } from '../../src/gateway/gateway-metrics.ts';
import { createProcessMetrics } from '../../src/monitor/metric-registry.ts';
import { readMetricTables, unconventional, type Described } from './metric-documents.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');
const documented = readMetricTables(await readFile(join(docs, 'metrics.md'), 'utf8'));

function described(registry: Registry): Described[] {
  return registry.getMetricsAsArray().map((metric) => {
    const labels = 'labelNames' in metric && Array.isArray(metric.labelNames) ? metric.labelNames.map(String) : [];
    return { name: metric.name, type: String(metric.type), labels: labels.toSorted(), help: metric.help };
  });
}

const { registry: control } = createProcessMetrics('1.2.3+abc');
createControlMetrics(control);
const { registry: gateway } = createProcessMetrics('1.2.3');
createGatewayMetrics(gateway);
const served = [...described(control), ...described(gateway)];
const names = new Set(served.map((metric) => metric.name));

describe('the metrics', () => {
  it('are documented by name, type and labels, all of them', () => {
    const shown = ({ name, type, labels }: Omit<Described, 'help'>) => `${name} ${type} ${labels.join(',')}`;
    const sorted = (list: Iterable<string>) => [...new Set(list)].toSorted();
    expect(sorted(documented.map(shown))).toEqual(sorted(served.map(shown)));
    expect(documented.filter((metric) => metric.help === '')).toEqual([]);
  });

  it('are documented once', () => {
    expect(documented.map((metric) => metric.name).toSorted()).toEqual([...names].toSorted());
  });

  it('follow the conventions', () => {
    expect(served.flatMap(unconventional)).toEqual([]);
  });

  it.each([
    [{ name: 'poolhouse_requests', type: 'counter', labels: [], help: 'x' }, /_total/],
    [{ name: 'poolhouse_open_total', type: 'gauge', labels: [], help: 'x' }, /_total/],
    [{ name: 'poolhouse_wait_ms', type: 'gauge', labels: [], help: 'x' }, /base unit/],
    [{ name: 'poolhouse_wait', type: 'histogram', labels: [], help: 'x' }, /_seconds or _bytes/],
    [{ name: 'poolhouse_x', type: 'gauge', labels: [], help: ' ' }, /help/],
    [{ name: 'poolhouse_X', type: 'gauge', labels: [], help: 'x' }, /snake_case/],
    [{ name: 'poolhouse_x', type: 'gauge', labels: ['user'], help: 'x' }, /label 'user'/],
    [{ name: 'pool_x', type: 'gauge', labels: [], help: 'x' }, /begins with/],
  ])('are seen where they do not: %j', (metric, complaint) => {
    expect(unconventional(metric).join()).toMatch(complaint);
  });
});

describe.each(['poolhouse.json', 'alerts.yml'])('docs/grafana/%s', (file) => {
  it('asks for metrics that there are', async () => {
    const text = await readFile(join(docs, 'grafana', file), 'utf8');
    const asked = new Set(text.match(/\b(poolhouse|process|nodejs)_[a-z0-9_]+/g) ?? []);
    expect(asked.size).toBeGreaterThan(10);
    const histograms = new Set(served.filter((metric) => metric.type === 'histogram').map((metric) => metric.name));
    const unknown = [...asked].filter(
      (name) => !names.has(name) && !histograms.has(name.replace(/_(bucket|sum|count)$/, '')),
    );
    expect(unknown).toEqual([]);
  });

  it('asks for labels and values that there are', async () => {
    const text = (await readFile(join(docs, 'grafana', file), 'utf8')).replaceAll('\\"', '"');
    const known = new Set(served.flatMap((metric) => metric.labels));
    for (const [, label = ''] of text.matchAll(/[{,] ?([a-z_]+)(?:=|!=|=~|!~)"/g))
      expect([...known, 'job', 'installation']).toContain(label);
    for (const [, group = ''] of text.matchAll(/\bby \(([^)]*)\)/g))
      for (const label of group.split(', '))
        expect([...known, 'job', 'instance', 'installation', 'le']).toContain(label);
  });
});

describe('the dashboard', () => {
  interface Panel {
    id: number;
    title: string;
    type: string;
    gridPos: { x: number; y: number; w: number; h: number };
    datasource?: { type: string; uid: string };
    targets?: { expr: string; datasource: { uid: string } }[];
  }
  interface Dashboard {
    uid: string;
    panels: Panel[];
    templating: { list: { name: string; type: string }[] };
  }
  const read = async () => JSON.parse(await readFile(join(docs, 'grafana', 'poolhouse.json'), 'utf8')) as Dashboard;

  it('belongs to no one data source, and to whichever installation is chosen', async () => {
    const { templating, panels } = await read();
    expect(templating.list.map((variable) => variable.name)).toEqual(['datasource', 'job', 'installation']);
    for (const panel of panels.filter((one) => one.type !== 'row')) {
      expect(panel.datasource?.uid).toBe('${datasource}');
      expect(panel.targets?.length).toBeGreaterThan(0);
      for (const target of panel.targets ?? []) {
        expect(target.datasource.uid).toBe('${datasource}');
        expect(target.expr).toContain('installation=~"$installation"');
      }
    }
  });

  it('has every panel once, in a place of its own', async () => {
    const { panels } = await read();
    expect(panels.filter((panel) => panel.type === 'row').map((panel) => panel.title)).toEqual([
      'Is it well?',
      'Pools',
      'People',
      'Connections',
      'Engine and loops',
    ]);
    expect(new Set(panels.map((panel) => panel.id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  });
});
