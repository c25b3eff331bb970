// A heatmap of histogram buckets over time. @grafana/ui has none.
import { FieldType, formattedValueToString, getValueFormat } from '@grafana/data';
import * as chromatic from 'd3-scale-chromatic';
import { Axes, plotArea } from './axes';
import type { View } from './grafana';

// Schemes whose low end is dark already; Grafana turns the others round on a dark background.
const DARK_FIRST = ['Turbo', 'Cividis', 'Viridis', 'Magma', 'Inferno', 'Plasma', 'Warm', 'Cool', 'Spectral', 'RdYlGr'];

export function HeatmapPanel({ panel, frames, timeRange, width, height }: View) {
  const { color = {}, yAxis = {}, filterValues } = panel.options;
  const time = frames[0].fields.find(({ type }) => type === FieldType.time)!;
  const buckets = frames[0].fields.filter(({ type }) => type === FieldType.number);
  const step = time.config.interval ?? 0;

  const format = getValueFormat(yAxis.unit ?? 'short');
  const names = buckets.map(({ name }) =>
    Number.isFinite(Number(name)) ? formattedValueToString(format(Number(name))) : name,
  );
  const plot = plotArea(names, timeRange, width, height);
  const rowHeight = plot.height / buckets.length;
  const every = Math.ceil(16 / rowHeight); // a label needs about 16 px
  // A bucket's name is its upper bound, so it stands at its upper edge.
  const labels = names
    .map((text, i) => ({ text, y: Math.max(6, plot.height - (i + 1) * rowHeight) }))
    .filter((_, i) => i % every === 0);

  const most = Math.max(...buckets.flatMap(({ values }) => values));
  const { scheme = 'Oranges', reverse = false } = color;
  const turned = DARK_FIRST.includes(scheme) === reverse;
  const interpolate = (chromatic as unknown as Record<string, (share: number) => string>)[`interpolate${scheme}`];
  const paint = (count: number) => interpolate(turned ? 1 - count / most : count / most);
  return (
    <svg width={width} height={height} shapeRendering="crispEdges">
      {buckets.flatMap((bucket, row) =>
        bucket.values.map((count: number, i: number) => {
          if (count <= (filterValues?.le ?? 1e-9)) {
            return null;
          }
          const [left, right] = [plot.x(time.values[i] - step), plot.x(time.values[i])];
          const y = plot.height - (row + 1) * rowHeight;
          return (
            <rect
              key={`${row} ${i}`}
              x={left}
              y={y}
              width={Math.max(0, right - left)}
              height={rowHeight}
              fill={paint(count)}
            />
          );
        }),
      )}
      <Axes plot={plot} range={timeRange} labels={labels} />
    </svg>
  );
}
