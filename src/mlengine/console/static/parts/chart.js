// A line chart over time, drawn by uPlot in the colours of the theme; the same numbers as a table for readers.
import uPlot from '../vendor/uPlot.js';
import { html, useEffect, useRef } from '../core/base.js';
import { spoken, translator, useLanguage } from '../core/words.js';
import words from '../words/shell.js';

const t = translator(words);
const COLOURS = ['--line-1', '--line-2', '--line-3', '--line-4', '--line-5', '--line-6'];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A sample between two gaps makes no line; it is drawn as a point.
const lonely = (values) => {
  const told = [...values.keys()].filter((at) => values[at] !== undefined);
  return told.filter((at, place) => values[at] !== null && (values[told[place - 1]] ?? null) === null && (values[told[place + 1]] ?? null) === null);
};

const clock = (at, step) => new Intl.DateTimeFormat(spoken(), {
  ...(step < 86400 && { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }), ...(step < 60 && { second: '2-digit' }), ...(step >= 43200 && { month: 'short', day: 'numeric' }),
}).format(new Date(at * 1000));

// `times`: seconds since 1970. `lines`: [{name, values, dashed}], null where there is no sample, undefined where none was due. `unit(value)`.
export function Chart({ title, times, lines, unit = String, height = 180, top }) {
  useLanguage();
  const place = useRef();
  const plot = useRef();
  const names = lines.map((line) => line.name).join('\n');
  useEffect(() => {
    if (!times?.length) return undefined;
    const draw = () => {
      plot.current?.destroy();
      const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--rule'), width: 1 }, ticks: { stroke: colour('--rule'), width: 1 } };
      plot.current = new uPlot(
        {
          width: Math.max(place.current.clientWidth, 200), height,
          cursor: { y: false }, legend: { live: true },
          // One sample alone has no width; the axis would show years.
          scales: { x: { range: (_, low, high) => (high - low < 2 ? [low - 30, high + 30] : [low, high]) }, y: { range: (_, low, high) => [Math.min(0, low), top ?? (high > 0 ? high * 1.08 : 1)] } },
          axes: [{ ...axis, space: 70, values: (_, ticks, __, ___, step) => ticks.map((at) => clock(at, step)) }, { ...axis, size: 84, values: (_, ticks) => ticks.map(unit) }],
          series: [
            { label: t('time'), value: (_, at) => (at ? clock(at, 1) : '') },
            ...lines.map((line, at) => ({
              label: line.name, stroke: colour(COLOURS[at % COLOURS.length]), width: 2, spanGaps: false,
              dash: line.dashed ? [6, 4] : undefined, points: { show: times.length < 3, filter: (drawn, nth, all) => (all ? null : lonely(drawn.data[nth])) },
              value: (_, value) => (value === null || value === undefined ? '–' : unit(value)),
            })),
          ],
        },
        [times, ...lines.map((line) => line.values)],
        place.current,
      );
    };
    draw();
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(place.current.clientWidth, 200), height }));
    observer.observe(place.current);
    addEventListener('mlengine-theme', draw);
    return () => {
      observer.disconnect();
      removeEventListener('mlengine-theme', draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names, Boolean(times?.length), height, top]);
  useEffect(() => {
    plot.current?.setData([times, ...lines.map((line) => line.values)]);
  }, [times, lines]);
  const last = (line) => [...line.values].reverse().find((value) => value !== null && value !== undefined);
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    ${times?.length
      ? html`<div ref=${place} role="img" aria-label=${`${title}: ${lines.map((line) => `${line.name} ${last(line) === undefined ? '–' : unit(last(line))}`).join(', ')}`}></div>`
      : html`<p class="quiet">${t('noData')}</p>`}
  </figure>`;
}
