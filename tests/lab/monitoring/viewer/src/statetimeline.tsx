// A line of states for each series. @grafana/ui has none.
import { type Field, FieldType, formattedValueToString, getFieldDisplayName } from '@grafana/data';
import { measureText, UPLOT_AXIS_FONT_SIZE, useTheme2 } from '@grafana/ui';
import { Axes, plotArea } from './axes';
import type { View } from './grafana';

interface Segment {
  from: number;
  to: number;
  text: string;
  color: string;
}

export function StateTimelinePanel({ panel, frames, timeRange, width, height }: View) {
  const theme = useTheme2();
  const rows = frames.flatMap((frame) => {
    const time = frame.fields.find(({ type }) => type === FieldType.time)!;
    return frame.fields
      .filter((field) => field !== time)
      .map((field) => ({ name: getFieldDisplayName(field, frame, frames), segments: segmentsOf(time, field) }));
  });
  const plot = plotArea(
    rows.map(({ name }) => name),
    timeRange,
    width,
    height,
  );
  const rowHeight = plot.height / rows.length;
  const barHeight = rowHeight * (panel.options.rowHeight ?? 0.9);
  const middle = (row: number) => (row + 0.5) * rowHeight;
  return (
    <svg width={width} height={height}>
      <Axes plot={plot} range={timeRange} labels={rows.map(({ name }, row) => ({ text: name, y: middle(row) }))} />
      {rows.flatMap(({ segments }, row) =>
        segments.map(({ from, to, text, color }) => {
          const [left, right] = [plot.x(from), plot.x(to)];
          const fits =
            panel.options.showValue !== 'never' && measureText(text, UPLOT_AXIS_FONT_SIZE).width + 8 < right - left;
          return (
            <g key={`${row} ${from}`}>
              <rect
                x={left}
                y={middle(row) - barHeight / 2}
                width={right - left}
                height={barHeight}
                fill={color}
                fillOpacity={(panel.fieldConfig?.defaults.custom?.fillOpacity ?? 70) / 100}
              />
              {fits && (
                <text
                  x={left + 4}
                  y={middle(row)}
                  dominantBaseline="middle"
                  fontSize={UPLOT_AXIS_FONT_SIZE}
                  fill={theme.colors.getContrastText(color)}
                >
                  {text}
                </text>
              )}
            </g>
          );
        }),
      )}
    </svg>
  );
}

/** Equal neighbours are one segment. A segment ends where the next one starts, or a step after its last sample. */
function segmentsOf(time: Field, field: Field): Segment[] {
  const step = time.config.interval ?? 0;
  const segments: Segment[] = [];
  field.values.forEach((value, i) => {
    if (value == null || Number.isNaN(value)) {
      return;
    }
    const { color = 'gray', ...display } = field.display!(value);
    const [text, from, last] = [formattedValueToString(display), time.values[i], segments.at(-1)];
    if (last && last.to >= from) {
      last.to = from;
    }
    if (last && last.to === from && last.text === text && last.color === color) {
      last.to = from + step;
    } else {
      segments.push({ from, to: from + step, text, color });
    }
  });
  return segments;
}
