// Answers of Prometheus to data frames: the work of Grafana's Prometheus data source.
import { type DataFrame, DataFrameType, type Field, FieldType } from '@grafana/data';
import type { Answer, Panel, Sample, Target } from './model';

type Series = Answer['result'][number];

export function framesOf(panel: Panel, answers: Answer[]): DataFrame[] {
  const tables = answers.filter((answer) => targetOf(panel, answer).format === 'table').length;
  const interval = stepOf(answers);
  return answers.flatMap((answer) => {
    const target = targetOf(panel, answer);
    if (answer.result.length === 0) {
      return [];
    }
    switch (target.format) {
      case 'table':
        return [tableFrame(answer, tables > 1 ? `Value #${answer.refId}` : 'Value')];
      case 'heatmap':
        return [heatmapFrame(answer, interval)];
      default:
        return answer.result.map((series) => seriesFrame(answer, series, interval, target.legendFormat ?? ''));
    }
  });
}

function targetOf(panel: Panel, answer: Answer): Target {
  const target = panel.targets?.find(({ refId }) => refId === answer.refId);
  if (!target) {
    throw new Error(
      `panel ${panel.id} has no target ${answer.refId}: the answers are of another version of the dashboard`,
    );
  }
  return target;
}

const samples = (series: Series): Sample[] => series.values ?? (series.value ? [series.value] : []);
const time = ([seconds]: Sample) => Math.round(seconds * 1000);
const value = ([, text]: Sample) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

function seriesFrame(answer: Answer, series: Series, interval: number | undefined, format: string): DataFrame {
  const points = samples(series);
  const times = points.map(time);
  return {
    refId: answer.refId,
    length: points.length,
    fields: [
      { name: 'Time', type: FieldType.time, config: { interval }, values: times },
      {
        name: 'Value',
        type: FieldType.number,
        labels: series.metric,
        config: { displayNameFromDS: legend(answer, series.metric, format) },
        values: points.map(value),
      },
    ],
  };
}

/** The queries' step in milliseconds: the smallest distance of two samples. A line has a gap where it is exceeded. */
function stepOf(answers: Answer[]): number | undefined {
  const times = answers.flatMap(({ result }) => result.map((series) => samples(series).map(time)));
  const steps = times.flatMap((points) => points.slice(1).map((point, i) => point - points[i]));
  return steps.length ? Math.min(...steps) : undefined;
}

function legend(answer: Answer, labels: Record<string, string>, format: string): string | undefined {
  if (format === '__auto') {
    return Object.keys(labels).length ? undefined : answer.expr;
  }
  if (format) {
    return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '');
  }
  const { __name__ = '', ...others } = labels;
  const pairs = Object.entries(others).map(([label, text]) => `${label}="${text}"`);
  return pairs.length ? `${__name__}{${pairs.join(', ')}}` : __name__ || answer.expr;
}

function tableFrame(answer: Answer, valueName: string): DataFrame {
  const rows = answer.result.flatMap((series) => samples(series).map((sample) => ({ labels: series.metric, sample })));
  const labels = [...new Set(answer.result.flatMap((series) => Object.keys(series.metric)))].sort();
  const fields: Field[] = [
    { name: 'Time', type: FieldType.time, config: {}, values: rows.map((row) => time(row.sample)) },
    ...labels.map((label) => ({
      name: label,
      type: FieldType.string,
      config: {},
      values: rows.map((row) => row.labels[label] ?? ''),
    })),
    { name: valueName, type: FieldType.number, config: {}, values: rows.map((row) => value(row.sample)) },
  ];
  return { refId: answer.refId, length: rows.length, fields };
}

/** Cumulative `le` buckets to one frame: a field a bucket, named by its upper bound, with that bucket's own count. */
function heatmapFrame(answer: Answer, interval: number | undefined): DataFrame {
  const bound = (series: Series) => value([0, series.metric.le]);
  const buckets = [...answer.result].sort((a, b) => bound(a) - bound(b));
  const times = [...new Set(buckets.flatMap((series) => samples(series).map(time)))].sort((a, b) => a - b);
  let below = times.map(() => 0);
  const fields = buckets.map((series): Field => {
    const at = new Map(samples(series).map((sample) => [time(sample), value(sample)]));
    const upTo = times.map((t, i) => at.get(t) ?? below[i]);
    const own = upTo.map((count, i) => Math.max(0, count - below[i]));
    below = upTo;
    return { name: series.metric.le, type: FieldType.number, labels: series.metric, config: {}, values: own };
  });
  const timeField = { name: 'Time', type: FieldType.time, config: { interval }, values: times };
  return {
    refId: answer.refId,
    meta: { type: DataFrameType.HeatmapRows },
    length: times.length,
    fields: [timeField, ...fields],
  };
}
