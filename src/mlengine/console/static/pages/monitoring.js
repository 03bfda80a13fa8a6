// How all versions of a project do at this moment, and over time those that are asked most.
import { html } from '../core/base.js';
import { get } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { idOf, modelPath, own } from '../core/models.js';
import { url } from '../core/router.js';
import { current } from '../core/session.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Empty, Heading, Loading, Trouble, shell } from '../parts/basics.js';
import { ModelCharts, Range, Summary, active, told, useRange } from '../parts/figures.js';
import words from '../words/version.js';

const t = translator(words);
const BUSIEST = 3;
const ASKED = 30; // models whose versions are shown one by one; of a thousand, the busiest

async function lastMinutes(project, signal) {
  const { models = [] } = await get(`/mlengine/v1/projects/${encodeURIComponent(project)}/metrics`, { since: '5m' }, { signal });
  const busy = models.filter((one) => one.sum.requests || one.servedVersions).sort((a, b) => b.sum.requests - a.sum.requests);
  const each = await Promise.all(busy.slice(0, ASKED).map(async ({ model }) => {
    const id = idOf(model);
    const found = await get(own(`${modelPath(project, id)}/metrics`), { since: '5m' }, { signal });
    return (found.versions || []).filter(active).map((one) => ({ model: id, version: idOf(one.version), ...told(one.sum), now: one.now }));
  }));
  const rows = each.flat().sort((a, b) => b.requests - a.requests);
  return { models, rows, busiest: busy.filter((one) => one.sum.requests).slice(0, BUSIEST).map((one) => idOf(one.model)) };
}

export default function Monitoring({ project }) {
  useLanguage();
  const [range, setRange] = useRange();
  const found = useLoad((signal) => lastMinutes(project, signal), [project], { every: 5000 });
  // A link carries no token: where one is needed, a new tab would be refused.
  const heading = html`<${Heading} title=${t('monitoring')} actions=${!current() && html`<a class="button" href="/metrics" target="_blank" rel="noopener">/metrics</a>`} />`;
  if (!found.value) return html`<div>${heading}${found.error ? html`<${Trouble} error=${found.error} again=${found.reload} />` : html`<${Loading} />`}</div>`;
  const { models, rows, busiest } = found.value;
  const named = (row) => html`<a href=${url(project, 'models', row.model, row.version)}>${row.model}/${row.version}</a>`;
  const empty = models.length ? html`<p class="quiet">${t('noVersions')}</p>`
    : html`<${Empty} title=${t('empty')} text=${t('emptyText')} command=${shell('mlengine', 'models', 'create', 'titanic', '--project', project)} />`;
  return html`<div>${heading}<${Trouble} error=${found.error} />
    <h2>${t('lastFive')}</h2><${Summary} rows=${rows} cell=${named} empty=${empty} />
    ${busiest.length > 0 && html`<h2>${t('busiest')}</h2><${Range} value=${range} onChange=${setRange} />
      ${busiest.map((model) => html`<section key=${model} aria-label=${model}><h3><a href=${url(project, 'models', model)}>${model}</a></h3><${ModelCharts} project=${project} model=${model} range=${range} /></section>`)}`}
    <p class="note">${t('prometheus')} <code>${location.origin}/metrics</code>. ${t('board')}</p>
    <${Command} text=${busiest.length ? shell('mlengine', 'models', 'metrics', busiest[0], '--since', '5m', '--project', project) : shell('mlengine', 'models', 'list', '--project', project)} /></div>`;
}
