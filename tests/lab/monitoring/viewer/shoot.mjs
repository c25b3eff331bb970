// Takes a picture of each dashboard. Usage: node shoot.mjs DASHBOARDS_FOLDER ANSWERS_FILE PICTURES_FOLDER
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const VIEWPORT = { width: 1600, height: 3000 }; // higher than every dashboard: a table outside is not painted
const PAGE = '<!doctype html><html lang="en"><body style="margin: 0"><div id="page"></div></body></html>';
const ICONS = path.join(import.meta.dirname, 'node_modules/@grafana/ui/dist');
const FONTS = '/usr/share/fonts/opentype/inter'; // of Debian's fonts-inter

const [dashboards, answersFile, pictures] = process.argv.slice(2);
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));
const answers = readJson(answersFile);

const { outputFiles } = await build({
  entryPoints: [path.join(import.meta.dirname, 'page.jsx')],
  bundle: true,
  write: false,
  minify: true,
  jsx: 'automatic',
  outdir: '/',
  loader: { '.ttf': 'empty' }, // of the code editor, which no panel shows
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
  logLevel: 'error',
});
const [script, style] = ['.js', '.css'].map((suffix) => outputFiles.find((file) => file.path.endsWith(suffix)).text);

/** Answers the page's requests in place of a server: for itself, icons and fonts. */
function serve(route) {
  const { pathname } = new URL(route.request().url());
  const font = pathname.match(/\/inter\/(Inter-\w+)\.woff2$/)?.[1];
  if (font) return route.fulfill({ path: `${FONTS}/${font}.otf` });
  if (pathname.startsWith('/public/build/')) return route.fulfill({ path: ICONS + pathname.replace('/build/', '/') });
  return route.fulfill({ contentType: 'text/html', body: PAGE });
}

/** Takes pictures until two in a row are the same: icons arrive late, and tables are laid out twice. */
async function shoot(page, file) {
  for (let before, tries = 0; tries < 20; tries++) {
    const after = await page.locator('#page').screenshot({ path: file });
    if (before?.equals(after)) return console.log(file);
    before = after;
    await page.waitForTimeout(250);
  }
  throw new Error(`${file} does not come to rest`);
}

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--font-render-hinting=none'] });
for (const name of readdirSync(dashboards)) {
  const page = await browser.newPage({ viewport: VIEWPORT, locale: 'en-US', timezoneId: 'UTC' });
  page.on('pageerror', (error) => {
    throw error;
  });
  await page.route('**', serve);
  await page.goto('http://localhost/');
  await page.addStyleTag({ content: style });
  await page.addScriptTag({ content: script });
  await page.evaluate(
    ([dashboard, all]) => window.draw(dashboard, all),
    [readJson(path.join(dashboards, name)), answers],
  );
  await shoot(page, path.join(pictures, `dashboard-${path.basename(name, '.json')}.png`));
  await page.close();
}
await browser.close();
