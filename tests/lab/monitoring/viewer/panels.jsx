// What is inside the panels: Grafana's components. Grafana does not publish its heat map and its state timeline, so
// these two are rectangles on Grafana's plot, without tooltips and legends.
import {
  formattedValueToString,
  getDisplayValueAlignmentFactors,
  getFieldDisplayName,
  getFieldDisplayValues,
  getValueFormat,
} from '@grafana/data';
import {
  AxisPlacement,
  BarGauge,
  BigValue,
  measureText,
  ScaleDirection,
  ScaleOrientation,
  TimeSeries,
  UPLOT_AXIS_FONT_SIZE,
  UPlotChart,
  UPlotConfigBuilder,
  useTheme2,
  VizRepeater,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import * as chromatic from 'd3-scale-chromatic';

function TimeSeriesPanel({ panel, ...view }) {
  return <TimeSeries {...view} timeZone="utc" legend={panel.options.legend} />;
}

function TablePanel({ panel, frames, ...view }) {
  if (frames.length > 1) {
    throw new Error(`${panel.title}: Grafana shows one frame and hides ${frames.length - 1} behind a menu; merge them`);
  }
  const { cellHeight, sortBy } = panel.options;
  return (
    <TableNG
      {...view}
      {...{ cellHeight, sortBy }}
      data={frames[0]}
      fieldConfig={panel.fieldConfig}
      enableVirtualization={false}
    />
  );
}

function StatPanel(view) {
  return (
    <Repeated {...view} autoGrid>
      {({ value, ...place }) => (
        <BigValue
          {...view.panel.options}
          {...place}
          value={value.display}
          sparkline={value.sparkline && { ...value.sparkline, timeRange: view.timeRange }}
        />
      )}
    </Repeated>
  );
}

function BarGaugePanel(view) {
  return (
    <Repeated {...view}>
      {({ value, ...place }) => (
        <BarGauge
          {...view.panel.options}
          {...place}
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
          valueDisplayMode={view.panel.options.valueMode}
        />
      )}
    </Repeated>
  );
}

/** One picture for each value that a series is reduced to, in a grid, a row or a column. */
function Repeated({ panel, frames, width, height, autoGrid, children }) {
  const theme = useTheme2();
  const { reduceOptions, graphMode, orientation, minVizWidth, minVizHeight, maxVizHeight } = panel.options;
  const getValues = () =>
    getFieldDisplayValues({
      data: frames,
      reduceOptions,
      fieldConfig: panel.fieldConfig,
      replaceVariables: (text) => text,
      sparkline: graphMode === 'area',
      theme,
      timeZone: 'utc',
    });
  return (
    <VizRepeater
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={(place) => children({ ...place, theme })}
      source={frames}
      {...{ getValues, autoGrid, width, height, orientation, minVizWidth, minVizHeight, maxVizHeight }}
    />
  );
}

/** Counts of histogram buckets. Prometheus names a bucket by its upper bound, and counts in it the buckets below as well. */
function HeatmapPanel({ panel, frames, ...view }) {
  const format = getValueFormat(panel.options.yAxis.unit);
  const paint = chromatic[`interpolate${panel.options.color.scheme}`];
  const buckets = frames
    .map(({ fields: [time, { labels, values }] }) => ({
      bound: Number(labels.le.replace('+Inf', 'Infinity')),
      time,
      values,
    }))
    .sort((a, b) => a.bound - b.bound);
  const rects = buckets
    .flatMap(({ time, values }, row) =>
      values.map((upTo, i) => ({
        row,
        from: time.values[i] - time.config.interval,
        to: time.values[i],
        count: upTo - (buckets[row - 1]?.values[i] ?? 0),
      })),
    )
    .filter(({ count }) => count > panel.options.filterValues.le);
  const most = Math.max(...rects.map(({ count }) => count));
  return (
    <Rectangles
      {...view}
      direction={ScaleDirection.Up}
      rows={buckets.map(({ bound }) => (bound === Infinity ? '+Inf' : formattedValueToString(format(bound))))}
      labelAt={1}
      rects={rects.map((rect) => ({ ...rect, color: paint(1 - rect.count / most), height: 1, opacity: 1 }))}
    />
  );
}

function StateTimelinePanel({ panel, frames, ...view }) {
  const rects = frames.flatMap(({ fields: [time, field] }, row) => {
    const states = field.values.map((value) => (value === null ? {} : field.display(value)));
    const starts = states.flatMap(({ text }, i) => (text === states[i - 1]?.text ? [] : [i]));
    return starts.map((start, i) => ({
      row,
      ...states[start],
      from: time.values[start],
      to: time.values[starts[i + 1]] ?? view.timeRange.to.valueOf(),
      height: panel.options.rowHeight,
      opacity: panel.fieldConfig.defaults.custom.fillOpacity / 100,
    }));
  });
  return (
    <Rectangles
      {...view}
      direction={ScaleDirection.Down}
      rows={frames.map((frame) => getFieldDisplayName(frame.fields[1], frame, frames))}
      labelAt={0.5}
      rects={rects.filter(({ text }) => text !== undefined)}
    />
  );
}

const widthOf = (text) => measureText(text, UPLOT_AXIS_FONT_SIZE).width;

/** Named rows of rectangles over time. */
function Rectangles({ timeRange, width, height, direction, rows, labelAt, rects }) {
  const theme = useTheme2();
  const config = new UPlotConfigBuilder('utc');
  const range = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const every = Math.ceil((rows.length * 20) / height); // a label needs about 20 pixels
  const splits = rows.map((_, row) => row + labelAt).filter((_, row) => row % every === 0);
  const size = 16 + Math.max(...rows.map(widthOf)); // Grafana takes 40 % of the panel at most, and cuts long names
  config.addScale({
    scaleKey: 'x',
    isTime: true,
    orientation: ScaleOrientation.Horizontal,
    direction: ScaleDirection.Right,
    range: () => range,
  });
  config.addScale({ scaleKey: 'y', orientation: ScaleOrientation.Vertical, direction, range: () => [0, rows.length] });
  config.addAxis({
    scaleKey: 'x',
    isTime: true,
    placement: AxisPlacement.Bottom,
    space: () => 54, // pixels from label to label, less than Grafana's: long names leave little room
    timeZone: 'utc',
    theme,
  });
  config.addAxis({
    scaleKey: 'y',
    grid: { show: false },
    size,
    splits: () => splits,
    values: (_, at) => at.map((y) => rows[y - labelAt]),
    theme,
  });
  config.addSeries({ scaleKey: 'y', theme });
  config.addHook('draw', (plot) => {
    const { ctx } = plot;
    for (const { row, from, to, color, text, height, opacity } of rects) {
      const [left, right] = [from, to].map((time) => Math.round(plot.valToPos(Math.max(time, range[0]), 'x', true)));
      const [top, bottom] = [(1 - height) / 2, (1 + height) / 2].map((part) =>
        Math.round(plot.valToPos(row + part, 'y', true)),
      );
      ctx.globalAlpha = opacity;
      ctx.fillStyle = color;
      ctx.fillRect(left, top, right - left, bottom - top);
      ctx.globalAlpha = 1;
      if (text && widthOf(text) + 8 < right - left) {
        ctx.fillStyle = theme.colors.getContrastText(color);
        ctx.font = `${UPLOT_AXIS_FONT_SIZE}px ${theme.typography.fontFamily}`;
        ctx.textAlign = 'left';
        ctx.textBaseline = 'middle';
        ctx.fillText(text, left + 4, (top + bottom) / 2);
      }
    }
  });
  return <UPlotChart config={config} data={[range, [null, null]]} width={width} height={height} />;
}

export const PANELS = {
  bargauge: BarGaugePanel,
  heatmap: HeatmapPanel,
  stat: StatPanel,
  'state-timeline': StateTimelinePanel,
  table: TablePanel,
  timeseries: TimeSeriesPanel,
};
