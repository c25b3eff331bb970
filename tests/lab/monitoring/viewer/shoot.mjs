// Builds the viewer and takes a picture of each dashboard.
// Usage: node shoot.mjs DASHBOARDS_FOLDER ANSWERS_FILE PICTURES_FOLDER
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const WIDTH = 1600; // pixels
const PAGE = '<!doctype html><html lang="en"><body><div id="page"></div></body></html>';

const GRAFANA = path.join(import.meta.dirname, 'node_modules/@grafana/ui/dist');
const FONTS = '/usr/share/fonts/opentype/inter'; // of Debian's fonts-inter

const [dashboardsFolder, answersFile, picturesFolder] = process.argv.slice(2);
const readJson = async (file) => JSON.parse(await readFile(file, 'utf8'));

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [path.join(import.meta.dirname, 'src/page.tsx')],
    bundle: true,
    write: false,
    minify: true,
    jsx: 'automatic',
    outdir: '/',
    loader: { '.ttf': 'empty' }, // of the code editor, which no panel shows
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    logLevel: 'error',
  });
  const text = (extension) => outputFiles.find((file) => file.path.endsWith(extension))?.text ?? '';
  return { script: text('.js'), style: text('.css') };
}

/** A picture of the page once it stands still: two pictures in a row are the same. */
async function picture(page) {
  for (let before, tries = 0; tries < 20; tries++) {
    const after = await page.screenshot();
    if (before?.equals(after)) return after;
    before = after;
    await page.waitForTimeout(250);
  }
  throw new Error('the page does not come to rest');
}

async function shoot(browser, { script, style }, name, answers) {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 900 }, locale: 'en-US', timezoneId: 'UTC' });
  let broken = false;
  page.on('pageerror', (error) => {
    broken = true;
    console.error(`${name}: ${error.message}`);
  });
  // No server: the page needs an origin, the icons and the font.
  await page.route('**', (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname.startsWith('/public/build/img/')) {
      return route.fulfill({ path: path.join(GRAFANA, pathname.replace('/build/', '/')) });
    }
    const font = pathname.match(/\/inter\/(Inter-\w+)\.woff2$/)?.[1];
    if (font) {
      return route.fulfill({ path: path.join(FONTS, `${font}.otf`) });
    }
    return route.fulfill({ contentType: 'text/html', body: PAGE });
  });
  await page.goto('http://localhost/');
  await page.addStyleTag({ content: style });
  await page.addScriptTag({ content: script });
  const dashboard = await readJson(path.join(dashboardsFolder, `${name}.json`));
  const { height, empty } = await page.evaluate(([one, all]) => window.draw(one, all), [dashboard, answers]);
  await page.setViewportSize({ width: WIDTH, height });
  await page.waitForLoadState('networkidle'); // the icons
  const png = await picture(page);
  await page.close();
  if (broken) throw new Error(`${name} is not drawn whole`);

  const file = path.join(picturesFolder, `dashboard-${name}.png`);
  await writeFile(file, png);
  const remark = empty.length ? `; no data: ${empty.join(', ')}` : '';
  console.log(`${file}: ${WIDTH}x${height}, ${Math.round(png.length / 1024)} KiB${remark}`);
}

const [answers, viewer] = [await readJson(answersFile), await bundle()];
const names = (await readdir(dashboardsFolder))
  .filter((file) => file.endsWith('.json'))
  .map((file) => path.basename(file, '.json'));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--font-render-hinting=none'] });
try {
  for (const name of names) await shoot(browser, viewer, name, answers);
} finally {
  await browser.close();
}
