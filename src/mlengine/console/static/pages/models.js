// The models of a project and how busy they are; with ?origin=gs://… the first step from an export to a version.
import { html, useState } from '../core/base.js';
import { post } from '../core/api.js';
import { useAction, useLoad } from '../core/load.js';
import { idOf, labelsOf, listAll, modelPath } from '../core/models.js';
import { go, url, useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Empty, Heading, Labels, State, Trouble, shell } from '../parts/basics.js';
import { latency, perSecond, useNow } from '../parts/figures.js';
import { Grid } from '../parts/grid.js';
import words from '../words/model.js';

const t = translator(words);

export default function Models({ project }) {
  useLanguage();
  const [origin] = useQuery('origin');
  const [asks, setAsks] = useState(false);
  const found = useLoad((signal) => listAll(modelPath(project), 'models', signal), [project], { every: 10000 });
  const now = useNow(project);
  const of = (model) => now.value?.[idOf(model.name)];
  const columns = [
    { id: 'name', title: t('name'), cell: (model) => html`<a href=${url(project, 'models', idOf(model.name))}>${idOf(model.name)}</a>` },
    { id: 'default', title: t('defaultVersion'), cell: (model) => model.defaultVersion
      ? html`<a href=${url(project, 'models', idOf(model.name), idOf(model.defaultVersion.name))}>${idOf(model.defaultVersion.name)}</a>`
      : html`<span class="quiet">${t('none')}</span>` },
    { id: 'state', title: t('state'), cell: (model) => model.defaultVersion && html`<${State} value=${model.defaultVersion.state} />` },
    { id: 'rate', title: t('rate'), class: 'number', cell: (model) => perSecond(of(model)?.rate) },
    { id: 'errors', title: t('errors'), class: 'number', cell: (model) => of(model)?.errorShare ?? '–' },
    { id: 'p95', title: t('p95'), class: 'number', cell: (model) => latency(of(model)?.p95) },
    { id: 'description', title: t('description'), cell: (model) => model.description },
    { id: 'labels', title: t('labels'), cell: (model) => html`<${Labels} labels=${model.labels} />` },
  ];
  const empty = html`<${Empty} title=${t('empty')} text=${t('emptyText')} command=${shell('mlengine', 'models', 'create', 'titanic', '--project', project)} />`;
  return html`<div>
    <${Heading} title=${t('models')} actions=${html`<button type="button" class="main" onClick=${() => setAsks(true)}>${t('newModel')}</button>`} />
    ${origin && found.value && html`<${Destination} project=${project} origin=${origin} models=${found.value} />`}
    <${Grid} columns=${columns} rows=${found.value} error=${found.error} again=${found.reload} keyOf=${(model) => model.name} caption=${t('models')} empty=${empty} />
    ${found.value?.length > 0 && html`<p class="quiet">${t('lastMinutes')}</p>`}
    <${Trouble} error=${found.value && now.error} />
    <${Command} text=${shell('mlengine', 'models', 'list', '--project', project)} />
    ${asks && html`<${NewModel} project=${project} close=${() => setAsks(false)} />`}</div>`;
}

function NewModel({ project, close }) {
  const [given, setGiven] = useState({ name: '', description: '', labels: '' });
  const labels = labelsOf(given.labels);
  const create = useAction(() => post(modelPath(project), { name: given.name, description: given.description, labels }));
  const change = (event) => setGiven({ ...given, [event.target.name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    const made = await create.run();
    if (made) go(url(project, 'models', idOf(made.name)));
  };
  return html`<${Dialog} title=${t('newModel')} onClose=${close}>
    <form onSubmit=${submit}>
      <div class="fields">
        <label><span>${t('name')}: ${t('nameHint')}</span><input name="name" required autofocus value=${given.name} onInput=${change} /></label>
        <label><span>${t('labels')}: ${t('labelsHint')}</span><input name="labels" value=${given.labels} onInput=${change} /></label>
        <label class="wide"><span>${t('description')}</span><input name="description" value=${given.description} onInput=${change} /></label>
      </div>
      <${Trouble} error=${create.error} />
      <${Command} text=${shell('mlengine', 'models', 'create', given.name || 'NAME', given.description && ['--description', given.description],
        given.labels.trim() && ['--labels', given.labels.replace(/\s/g, '')], '--project', project)} />
      <button class="main" disabled=${create.busy}>${t('create')}</button>
    </form><//>`;
}

// Which model an export becomes a version of.
function Destination({ project, origin, models }) {
  const [chosen, setChosen] = useState(models.length ? idOf(models[0].name) : '');
  const [name, setName] = useState('');
  const create = useAction(async () => {
    if (!chosen) await post(modelPath(project), { name });
    return chosen || name;
  });
  const submit = async (event) => {
    event.preventDefault();
    const model = await create.run();
    if (model) go(`${url(project, 'models', model, 'new')}?origin=${encodeURIComponent(origin)}`);
  };
  return html`<form class="card" onSubmit=${submit} aria-label=${t('makeVersion', { origin })}>
    <h2 class="breaks">${t('makeVersion', { origin })}</h2><p class="quiet">${t('makeVersionText')}</p>
    <div class="bar">
      <label><span>${t('model')}</span><select value=${chosen} onChange=${(event) => setChosen(event.target.value)}>
        ${models.map((model) => html`<option key=${model.name} value=${idOf(model.name)}>${idOf(model.name)}</option>`)}
        <option value="">${t('newOne')}</option></select></label>
      ${!chosen && html`<label><span>${t('name')}: ${t('nameHint')}</span><input required value=${name} onInput=${(event) => setName(event.target.value)} /></label>`}
      <button class="main" disabled=${create.busy}>${t('goOn')}</button>
    </div>
    <${Trouble} error=${create.error} />
    ${!chosen && html`<${Command} text=${shell('mlengine', 'models', 'create', name || 'NAME', '--project', project)} />`}
  </form>`;
}
