// Makes the data frames that a panel draws out of Prometheus's answers: the work of Grafana's data source and server.
import {
  applyFieldOverrides,
  applyNullInsertThreshold,
  cacheFieldDisplayNames,
  FieldConfigOptionsRegistry,
  FieldType,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';

standardTransformersRegistry.setInit(() =>
  [...new Set(Object.values(standardTransformers))].map((info) => ({ ...info, transformation: async () => info })),
);

/** The field options that the panel sets. Grafana has a list of all options, but does not publish it. */
function registryOf({ defaults, overrides = [] }) {
  const { custom = {}, ...standard } = defaults;
  const ids = [
    ...Object.keys(standard),
    ...Object.keys(custom).map((id) => `custom.${id}`),
    ...overrides.flatMap(({ properties }) => properties.map(({ id }) => id)),
  ];
  return new FieldConfigOptionsRegistry(() =>
    [...new Set(ids)].map((id) => ({
      id,
      path: id.replace(/^custom\./, ''),
      isCustom: id.startsWith('custom.'),
      process: (value) => value,
      shouldApply: ({ type }) => type !== FieldType.time,
    })),
  );
}

export async function framesOf(panel, answers, timeRange, theme) {
  const { type, fieldConfig = { defaults: {} }, transformations = [] } = panel;
  const times = answers.flatMap(({ result }) => result.map(({ values = [] }) => values.map(([seconds]) => seconds)));
  const interval = 1000 * Math.min(...times.flatMap((of) => of.slice(1).map((second, i) => second - of[i])));
  const series = answers.flatMap((answer) => answer.result.map((one) => seriesFrame(answer, one, interval, timeRange)));
  const toTable = type === 'table' ? [{ id: 'labelsToFields', options: {} }] : [];
  const data = await new Promise((resolve, reject) =>
    transformDataFrame([...toTable, ...transformations], series).subscribe({ next: resolve, error: reject }),
  );
  const frames = applyFieldOverrides({
    data,
    fieldConfig,
    fieldConfigRegistry: registryOf(fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(frames);
  return frames;
}

function seriesFrame({ refId, expr, legendFormat }, { metric, value, values = [value] }, interval, { from, to }) {
  const legend = legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, label) => metric[label] ?? '') || expr;
  const frame = {
    refId,
    length: values.length,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        config: { interval },
        values: values.map(([seconds]) => Math.round(seconds * 1000)),
      },
      {
        name: `Value #${refId}`, // as tables call it; graphs show the legend
        type: FieldType.number,
        labels: metric,
        config: { displayNameFromDS: legend },
        values: values.map(([, text]) => (Number.isFinite(Number(text)) ? Number(text) : null)),
      },
    ],
  };
  // Where samples are missing, lines and states have a gap.
  return applyNullInsertThreshold({ frame, refFieldPseudoMin: from.valueOf(), refFieldPseudoMax: to.valueOf() });
}
