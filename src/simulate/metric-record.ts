/** What was measured in a replay, kept by the minute for as long as a setting looks back; what autoscale reads its rules from. */
import type { EpochMillis } from '../core/time.ts';
import type { RuleReading } from '../pool/autoscale/evaluate-rule.ts';
import type { AutoscaleSetting, ScaleRule } from '../pool/autoscale/setting.ts';
import { foldIntoGrains, grainStart, grainStarts, joinSamples, sampleOf } from '../pool/fold-samples.ts';
import type { MetricName, MetricSample } from '../pool/metrics.ts';

const minute = 60_000;

export interface MetricRecord {
  /** The metrics that the setting has rules about. */
  metrics: ReadonlySet<MetricName>;
  note(metric: MetricName, values: ReadonlyMap<string, number>, now: EpochMillis): void;
  /** The grains of a rule's window. */
  read(rule: ScaleRule, now: EpochMillis): RuleReading['grains'];
}

export function createMetricRecord(setting: AutoscaleSetting): MetricRecord {
  const triggers = setting.profiles.flatMap(({ rules }) => rules.map(({ trigger }) => trigger));
  const metrics = new Set(triggers.map(({ metric }) => metric));
  const keptFor = Math.max(
    0,
    ...triggers.map((one) => one.timeWindowMilliseconds + 2 * one.timeGrainMilliseconds + minute),
  );
  const record = new Map<MetricName, Map<EpochMillis, Map<string, MetricSample>>>();

  return {
    metrics,
    note(metric, values, now) {
      const minutes = record.get(metric) ?? new Map<EpochMillis, Map<string, MetricSample>>();
      record.set(metric, minutes);
      const start = grainStart(now, minute);
      const samples = minutes.get(start) ?? new Map<string, MetricSample>();
      minutes.set(start, samples);
      for (const [instance, value] of values) {
        const [earlier, sample] = [samples.get(instance), sampleOf(instance, value)];
        samples.set(instance, earlier === undefined ? sample : joinSamples(earlier, sample));
      }
      for (const old of minutes.keys()) {
        if (old >= now - keptFor) break; // they were noted in the order of time
        minutes.delete(old);
      }
    },
    read({ trigger }, now) {
      const { metric, timeGrainMilliseconds: grain, timeWindowMilliseconds: window } = trigger;
      const starts = grainStarts(now - window - grain, now, grain);
      const from = starts[0] ?? now;
      const samples: { start: EpochMillis; sample: MetricSample }[] = [];
      for (const [start, byInstance] of record.get(metric) ?? [])
        if (start >= from) for (const sample of byInstance.values()) samples.push({ start, sample });
      return foldIntoGrains(samples, starts, grain);
    },
  };
}
