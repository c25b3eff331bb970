// The axes of the panels that we draw ourselves, in the style of Grafana's.
import { dateTimeFormat, type TimeRange } from '@grafana/data';
import { measureText, UPLOT_AXIS_FONT_SIZE, useTheme2 } from '@grafana/ui';

const GAP = 8;
const BOTTOM = 22;
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map(
  (seconds) => seconds * 1000,
);

interface Label {
  y: number;
  text: string;
}

export interface Plot {
  left: number;
  width: number;
  height: number;
  x: (time: number) => number;
}

/** The area that labels on the left and a time axis below leave. */
export function plotArea(labels: string[], range: TimeRange, width: number, height: number): Plot {
  const left = GAP + Math.max(0, ...labels.map((text) => measureText(text, UPLOT_AXIS_FONT_SIZE).width));
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const plot = { left, width: width - left - GAP, height: height - BOTTOM };
  return { ...plot, x: (time) => left + (plot.width * (Math.min(Math.max(time, from), to) - from)) / (to - from) };
}

export function Axes({ plot, range, labels }: { plot: Plot; range: TimeRange; labels: Label[] }) {
  const theme = useTheme2();
  const font = {
    fill: theme.colors.text.primary,
    fontSize: UPLOT_AXIS_FONT_SIZE,
    fontFamily: theme.typography.fontFamily,
    letterSpacing: 0, // as measured
  };
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const step = STEPS.find((candidate) => ((to - from) / candidate) * 70 <= plot.width) ?? to - from;
  const half = 20; // of a tick's label, in pixels; one that is not wholly inside would be cut
  const ticks = Array.from(
    { length: Math.floor(to / step) - Math.ceil(from / step) + 1 },
    (_, i) => (Math.ceil(from / step) + i) * step,
  ).filter((tick) => plot.x(tick) + half < plot.left + plot.width + GAP);
  return (
    <g {...font}>
      {labels.map(({ y, text }) => (
        <text key={text} x={plot.left - GAP} y={y} textAnchor="end" dominantBaseline="middle">
          {text}
        </text>
      ))}
      {ticks.map((tick) => (
        <g key={tick}>
          <line x1={plot.x(tick)} x2={plot.x(tick)} y1={0} y2={plot.height} stroke="rgba(240, 250, 255, 0.09)" />
          <text x={plot.x(tick)} y={plot.height + BOTTOM / 2 + 2} textAnchor="middle" dominantBaseline="middle">
            {dateTimeFormat(tick, { format: step < 60_000 ? 'HH:mm:ss' : 'HH:mm', timeZone: 'utc' })}
          </text>
        </g>
      ))}
    </g>
  );
}
