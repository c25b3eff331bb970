// A whole dashboard on one page, as Grafana lays it out.
import {
  createTheme,
  dateTime,
  dateTimeFormat,
  type DataFrame,
  FieldType,
  ThemeContext,
  type TimeRange,
} from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import type { ComponentType } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { type Interpolate, prepare } from './fields';
import { framesOf } from './frames';
import { BarGaugePanel, StatPanel, TablePanel, TimeSeriesPanel, type View } from './grafana';
import { HeatmapPanel } from './heatmap';
import type { Answers, Dashboard, Panel } from './model';
import { StateTimelinePanel } from './statetimeline';

const theme = createTheme({ colors: { mode: 'dark' } });
const COLUMNS = 24;
const ROW = 30;
const GAP = 8;
const MARGIN = 16;
const HEADER = 88;

const VIEWS: Record<string, ComponentType<View>> = {
  bargauge: BarGaugePanel,
  heatmap: HeatmapPanel,
  stat: StatPanel,
  'state-timeline': StateTimelinePanel,
  table: TablePanel,
  timeseries: TimeSeriesPanel,
};

/** Draws the dashboard. Returns the page's height in pixels, and the titles of the panels that have no data. */
async function draw(dashboard: Dashboard, answers: Answers): Promise<{ height: number; empty: string[] }> {
  const { variables, panels } = answers.dashboards[dashboard.uid];
  const timeRange = rangeOf(answers);
  const interpolate: Interpolate = (text = '') =>
    text.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (whole, braced, bare) => String(variables[braced ?? bare] ?? whole));
  const tiles = await Promise.all(
    dashboard.panels.map(async (panel) => ({
      panel,
      frames: await prepare(panel, framesOf(panel, panels[panel.id] ?? []), theme, interpolate),
    })),
  );
  const height =
    HEADER + Math.max(...dashboard.panels.map(({ gridPos }) => (gridPos.y + gridPos.h) * (ROW + GAP))) + MARGIN;
  flushSync(() => createRoot(document.createElement('div')).render(<GlobalStyles />));
  // Axes and big numbers are measured when they are drawn: the fonts must be there before.
  await Promise.all(['400', '500'].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  createRoot(document.getElementById('page')!).render(
    <ThemeContext.Provider value={theme}>
      <div style={{ position: 'relative', height }}>
        <Header dashboard={dashboard} variables={variables} timeRange={timeRange} />
        {tiles.map(({ panel, frames }) => (
          <Tile key={panel.id} {...{ panel, frames, timeRange, interpolate }} />
        ))}
      </div>
    </ThemeContext.Provider>,
  );
  return { height, empty: tiles.filter(isEmpty).map(({ panel }) => panel.title ?? `panel ${panel.id}`) };
}

function rangeOf({ from, to }: Answers): TimeRange {
  const [start, end] = [dateTime(from), dateTime(to)];
  return { from: start, to: end, raw: { from: start, to: end } };
}

/** Nothing to draw, and no text (noValue) that the dashboard has for that. */
const isEmpty = ({ panel, frames }: { panel: Panel; frames: DataFrame[] }) =>
  Boolean(panel.targets?.length) && !panel.fieldConfig?.defaults.noValue && !frames.some(hasData);

const hasData = ({ fields }: DataFrame) =>
  fields.some(({ type, values }) => type !== FieldType.time && values.some((item) => item === 0 || Boolean(item)));

function Header({
  dashboard,
  variables,
  timeRange,
}: {
  dashboard: Dashboard;
  variables: Record<string, string | string[]>;
  timeRange: TimeRange;
}) {
  const time = (at: TimeRange['from']) => dateTimeFormat(at, { format: 'YYYY-MM-DD HH:mm:ss', timeZone: 'utc' });
  const shown =
    dashboard.templating?.list.filter(({ name, hide }) => hide !== 2 && variables[name] !== undefined) ?? [];
  const box = {
    padding: '4px 8px',
    border: `1px solid ${theme.colors.border.medium}`,
    background: theme.colors.background.primary,
  };
  return (
    <div
      style={{
        position: 'absolute',
        left: MARGIN,
        right: MARGIN,
        top: MARGIN,
        display: 'flex',
        flexWrap: 'wrap',
        rowGap: GAP,
      }}
    >
      <div style={{ ...theme.typography.h4, flex: '1 0 60%' }}>{dashboard.title}</div>
      <div style={{ color: theme.colors.text.secondary }}>{`${time(timeRange.from)} to ${time(timeRange.to)} UTC`}</div>
      <div style={{ display: 'flex', gap: GAP, flex: '1 0 60%' }}>
        {shown.map(({ name, label }) => (
          <div key={name}>
            <span style={{ ...box, ...theme.typography.bodySmall, fontWeight: 500 }}>{label || name}</span>
            <span style={box}>
              {[variables[name]]
                .flat()
                .map((text) => (text === '.*' ? 'All' : text))
                .join(' + ')}
            </span>
          </div>
        ))}
      </div>
      <div style={{ color: theme.colors.text.link }}>{dashboard.links?.map(({ title }) => title).join('   ')}</div>
    </div>
  );
}

function Tile({ panel, frames, timeRange, interpolate }: Omit<View, 'width' | 'height'>) {
  const { x, y, w, h } = panel.gridPos;
  const column = (window.innerWidth - 2 * MARGIN + GAP) / COLUMNS;
  const place = {
    left: MARGIN + x * column,
    top: HEADER + y * (ROW + GAP),
    width: w * column - GAP,
    height: h * (ROW + GAP) - GAP,
  };
  const title = interpolate(panel.title);
  const Content = isEmpty({ panel, frames }) ? NoData : (VIEWS[panel.type] ?? NotDrawn);
  return (
    <div style={{ position: 'absolute', ...place }}>
      {panel.type === 'row' ? (
        <div style={theme.typography.h6}>{`⌄ ${title}`}</div>
      ) : (
        <PanelChrome
          title={title}
          description={panel.description}
          width={place.width}
          height={place.height}
          padding={panel.type === 'table' ? 'none' : 'md'}
        >
          {(width, height) => <Content {...{ panel, frames, timeRange, interpolate, width, height }} />}
        </PanelChrome>
      )}
    </div>
  );
}

const Problem = ({ text, height }: { text: string; height: number }) => (
  <div
    style={{
      display: 'grid',
      placeItems: 'center',
      height,
      color: 'white',
      background: theme.colors.error.main,
      fontWeight: 'bold',
    }}
  >
    {text}
  </div>
);
const NoData = ({ height }: View) => <Problem text="No data" height={height} />;
const NotDrawn = ({ panel, height }: View) => (
  <Problem text={`the viewer cannot draw a panel of type ${panel.type}`} height={height} />
);

Object.assign(window, { draw });
