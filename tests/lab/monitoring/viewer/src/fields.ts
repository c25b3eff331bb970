// What Grafana does to data frames before a panel draws them: transformations, then the field configuration.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  type DataFrame,
  type Field,
  FieldConfigOptionsRegistry,
  type FieldConfigPropertyItem,
  type FieldConfigSource,
  type FieldOverrideContext,
  FieldType,
  type GrafanaTheme2,
  standardTransformers,
  standardTransformersRegistry,
  ThresholdsMode,
  transformDataFrame,
  type TransformerRegistryItem,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';
import type { Panel } from './model';

export type Interpolate = (text?: string) => string;

standardTransformersRegistry.setInit(() =>
  [...new Set(Object.values(standardTransformers))].map(
    (info) =>
      ({ id: info.id, name: info.name, transformation: async () => info }) as unknown as TransformerRegistryItem,
  ),
);

// The panel types that colour a series by its place; the others colour a value by its thresholds.
const PALETTE_TYPES = ['timeseries', 'barchart', 'piechart'];

export async function prepare(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  interpolate: Interpolate,
): Promise<DataFrame[]> {
  const transformed = await lastValueFrom(
    transformDataFrame(panel.transformations ?? [], frames, { interpolate: (text) => interpolate(text) }),
  );
  const fieldConfig = fieldConfigOf(panel);
  const configured = applyFieldOverrides({
    data: transformed,
    fieldConfig,
    fieldConfigRegistry: registryOf(fieldConfig),
    replaceVariables: interpolate,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(configured);
  return configured;
}

/** The panel's field configuration, with what Grafana takes where the dashboard is silent. */
export function fieldConfigOf(panel: Panel): FieldConfigSource {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  return JSON.parse(
    JSON.stringify({
      defaults: {
        color: { mode: PALETTE_TYPES.includes(panel.type) ? 'palette-classic' : 'thresholds' },
        thresholds: {
          mode: ThresholdsMode.Absolute,
          steps: [
            { color: 'green', value: null },
            { color: 'red', value: 80 },
          ],
        },
        ...defaults,
        custom:
          panel.type === 'timeseries'
            ? { lineWidth: 1, fillOpacity: 0, pointSize: 5, ...defaults.custom }
            : { ...defaults.custom },
      },
      overrides,
    }),
    (key, item) => (key === 'steps' ? item.map((step: any) => ({ ...step, value: step.value ?? -Infinity })) : item),
  );
}

/** Grafana keeps a list of the properties that exist. Here it is those that the panel sets. */
function registryOf({ defaults, overrides }: FieldConfigSource): FieldConfigOptionsRegistry {
  const ids = new Set([
    ...Object.keys(defaults).filter((id) => id !== 'custom'),
    ...Object.keys(defaults.custom).map((id) => `custom.${id}`),
    ...overrides.flatMap((rule) => rule.properties.map(({ id }) => id)),
  ]);
  return new FieldConfigOptionsRegistry(() =>
    [...ids].map((id) => {
      const isCustom = id.startsWith('custom.');
      const process = id === 'displayName' ? withLabels : (item: unknown) => item;
      return {
        id,
        path: isCustom ? id.slice('custom.'.length) : id,
        isCustom,
        name: id,
        process,
        // A graph's label is that of its values, not of its time.
        shouldApply: ({ type }: Field) => id !== 'custom.axisLabel' || type !== FieldType.time,
      } as unknown as FieldConfigPropertyItem;
    }),
  );
}

const withLabels = (text: string, { field }: FieldOverrideContext) =>
  text?.replace(/\$\{__field\.labels\.(\w+)\}/g, (_, label) => field?.labels?.[label] ?? '');
