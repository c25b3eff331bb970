// The panels that @grafana/ui draws itself.
import {
  applyNullInsertThreshold,
  type DataFrame,
  type FieldDisplay,
  FieldType,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  type DisplayValueAlignmentFactors,
  type TimeRange,
  VizOrientation,
} from '@grafana/data';
import {
  BarGauge,
  BarGaugeDisplayMode,
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  TimeSeries,
  useTheme2,
  VizRepeater,
  type VizRepeaterRenderValueProps,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import type { ReactElement } from 'react';
import { fieldConfigOf, type Interpolate } from './fields';
import type { Panel } from './model';

export interface View {
  panel: Panel;
  frames: DataFrame[];
  timeRange: TimeRange;
  interpolate: Interpolate;
  width: number;
  height: number;
}

export function TimeSeriesPanel({ panel, frames, timeRange, width, height }: View) {
  const [refFieldPseudoMin, refFieldPseudoMax] = [timeRange.from.valueOf(), timeRange.to.valueOf()];
  const drawable = frames.map((frame) =>
    applyNullInsertThreshold({ frame: withoutNaN(frame), refFieldPseudoMin, refFieldPseudoMax }),
  );
  return (
    <TimeSeries
      frames={drawable}
      timeRange={timeRange}
      timeZone="utc"
      legend={panel.options.legend}
      width={width}
      height={height}
    />
  );
}

/** A graph has a gap where a value is not finite. */
const withoutNaN = (frame: DataFrame): DataFrame => ({
  ...frame,
  fields: frame.fields.map((field) =>
    field.type === FieldType.number
      ? { ...field, values: field.values.map((item) => (Number.isFinite(item) ? item : null)) }
      : field,
  ),
});

export function TablePanel({ panel, frames, timeRange, width, height }: View) {
  if (frames.length > 1) {
    throw new Error(
      `panel ${panel.id}: a table shows one frame and hides the other ${frames.length - 1}; merge or join them`,
    );
  }
  const { showHeader = true, cellHeight, sortBy, frozenColumns } = panel.options;
  return (
    <TableNG
      data={frames[0]}
      width={width}
      height={height}
      noHeader={!showHeader}
      cellHeight={cellHeight}
      sortBy={sortBy}
      frozenColumns={frozenColumns?.left}
      fieldConfig={fieldConfigOf(panel)}
      timeRange={timeRange}
      enableVirtualization={false}
    />
  );
}

export function StatPanel(view: View) {
  const theme = useTheme2();
  const {
    graphMode = BigValueGraphMode.Area,
    colorMode = BigValueColorMode.Value,
    justifyMode,
    textMode,
    text,
    wideLayout = true,
  } = view.panel.options;
  return (
    <Repeated {...view} sparkline={graphMode !== BigValueGraphMode.None}>
      {({ value, width, height, count, alignmentFactors }) => (
        <BigValue
          value={value.display}
          sparkline={value.sparkline && { ...value.sparkline, timeRange: view.timeRange }}
          count={count}
          {...{ width, height, alignmentFactors, theme, graphMode, colorMode, justifyMode, textMode, text }}
          disableWideLayout={!wideLayout}
        />
      )}
    </Repeated>
  );
}

export function BarGaugePanel(view: View) {
  const theme = useTheme2();
  const {
    displayMode = BarGaugeDisplayMode.Gradient,
    showUnfilled = true,
    valueMode,
    namePlacement,
    text,
  } = view.panel.options;
  return (
    <Repeated {...view}>
      {({ value, width, height, orientation, alignmentFactors }) => (
        <BarGauge
          value={value.display}
          field={value.field}
          display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 0)}
          {...{ width, height, orientation, alignmentFactors, theme, text, displayMode, showUnfilled, namePlacement }}
          valueDisplayMode={valueMode}
        />
      )}
    </Repeated>
  );
}

interface RepeatedProps extends View {
  sparkline?: boolean;
  children: (props: VizRepeaterRenderValueProps<FieldDisplay, DisplayValueAlignmentFactors>) => ReactElement<any>;
}

/** One picture for each reduced value, in a grid, a row or a column. */
function Repeated({ panel, frames, interpolate, width, height, sparkline = false, children }: RepeatedProps) {
  const theme = useTheme2();
  const { reduceOptions, orientation = VizOrientation.Auto, minVizWidth, minVizHeight, maxVizHeight } = panel.options;
  const getValues = () =>
    getFieldDisplayValues({
      data: frames,
      reduceOptions,
      fieldConfig: fieldConfigOf(panel),
      replaceVariables: interpolate,
      sparkline,
      theme,
      timeZone: 'utc',
    });
  return (
    <VizRepeater
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={children}
      renderCounter={0}
      source={frames}
      autoGrid={panel.type === 'stat'}
      {...{ getValues, width, height, orientation, minVizWidth, minVizHeight, maxVizHeight }}
    />
  );
}
