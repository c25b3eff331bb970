// Draws a whole dashboard on one page, laid out as in Grafana.
import { createTheme, dateTime, dateTimeFormat, FieldType, ThemeContext } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { framesOf } from './frames';
import { PANELS } from './panels';

const theme = createTheme();
const [COLUMNS, ROW, GAP, MARGIN] = [24, 30, 8, 16]; // pixels, but for the columns
const COLUMN = (window.innerWidth - 2 * MARGIN + GAP) / COLUMNS;

window.draw = async (dashboard, { from, to, dashboards }) => {
  const { variables, panels } = dashboards[dashboard.uid];
  const raw = { from: dateTime(from), to: dateTime(to) };
  const timeRange = { ...raw, raw };
  const tiles = await Promise.all(
    dashboard.panels.map(async (panel) => ({
      panel,
      timeRange,
      frames: await framesOf(panel, panels[panel.id] ?? [], timeRange, theme),
    })),
  );
  flushSync(() => createRoot(document.createElement('div')).render(<GlobalStyles />));
  // Axes and big numbers are measured when they are drawn, so the fonts must be loaded before.
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 12px Inter`)));
  createRoot(document.getElementById('page')).render(
    <ThemeContext.Provider value={theme}>
      <div style={{ padding: MARGIN }}>
        <Header {...{ dashboard, variables, timeRange }} />
        <div style={{ display: 'grid', gap: GAP, gridTemplateColumns: `repeat(${COLUMNS}, 1fr)`, gridAutoRows: ROW }}>
          {tiles.map((tile) => (
            <Tile key={tile.panel.id} {...tile} />
          ))}
        </div>
      </div>
    </ThemeContext.Provider>,
  );
};

function Header({ dashboard, variables, timeRange }) {
  const time = (at) => dateTimeFormat(at, { format: 'YYYY-MM-DD HH:mm:ss', timeZone: 'utc' });
  const box = {
    padding: '4px 8px',
    border: `1px solid ${theme.colors.border.medium}`,
    background: theme.colors.background.primary,
  };
  return (
    <div style={{ display: 'grid', gridTemplateColumns: '1fr auto', rowGap: GAP, marginBottom: MARGIN }}>
      <div style={theme.typography.h4}>{dashboard.title}</div>
      <div style={{ color: theme.colors.text.secondary }}>{`${time(timeRange.from)} to ${time(timeRange.to)} UTC`}</div>
      <div style={{ display: 'flex', gap: GAP }}>
        {dashboard.templating.list
          .filter(({ name }) => name in variables)
          .map(({ name, label }) => (
            <div key={name}>
              <span style={{ ...box, ...theme.typography.bodySmall, fontWeight: 500 }}>{label}</span>
              <span style={box}>{variables[name]}</span>
            </div>
          ))}
      </div>
      <div style={{ color: theme.colors.text.link, textAlign: 'right' }}>
        {dashboard.links.map(({ title }) => title)}
      </div>
    </div>
  );
}

function Tile({ panel, ...view }) {
  const { title, description, type } = panel;
  const { x, y, w, h } = panel.gridPos;
  const place = { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}` };
  if (type === 'row') {
    return <div style={{ ...place, ...theme.typography.h6 }}>{`⌄ ${title}`}</div>;
  }
  const Content = isEmpty(panel, view.frames) ? NoData : PANELS[type];
  if (!Content) {
    throw new Error(`${title}: the viewer cannot draw a panel of type ${type}`);
  }
  return (
    <div style={place}>
      <PanelChrome
        {...{ title, description }}
        width={w * COLUMN - GAP}
        height={h * (ROW + GAP) - GAP}
        padding={type === 'table' ? 'none' : 'md'}
      >
        {(width, height) => <Content {...{ panel, ...view, width, height }} />}
      </PanelChrome>
    </div>
  );
}

/** True if there is nothing to draw, and the dashboard has no text for that case. */
const isEmpty = ({ fieldConfig }, frames) =>
  !fieldConfig.defaults.noValue &&
  frames.every(({ fields }) =>
    fields.every(({ type, values }) => type === FieldType.time || values.every((v) => v === null)),
  );

/** Red, because Grafana's own grey is easily overlooked. */
function NoData({ height }) {
  return (
    <div style={{ height, display: 'grid', placeItems: 'center', background: theme.colors.error.main }}>No data</div>
  );
}
