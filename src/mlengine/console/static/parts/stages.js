// How far a version is that is being made, stage by stage, and what the server says if it fails.
import { html } from '../core/base.js';
import { get, post } from '../core/api.js';
import { useAction, useLoad } from '../core/load.js';
import { idOf } from '../core/models.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Trouble, shell } from './basics.js';
import words from '../words/version.js';

const t = translator(words);
const STAGES = ['FETCHING', 'ENVIRONMENT', 'LOADING', 'GOLDEN', 'ACCELERATING'];

export function Stages({ project, version }) {
  useLanguage();
  const at = STAGES.indexOf(version.mlengine?.stage);
  const found = useLoad((signal) => get(`/v1/projects/${encodeURIComponent(project)}/operations`, { filter: `metadata.version.name="${version.name}" AND done=false` }, { signal }), [version.name]);
  const making = found.value?.operations?.[0]?.name;
  const stop = useAction(() => post(`/v1/${making}:cancel`, {}));
  return html`<section class="card" aria-label=${t('stages')}><h2>${t('creating')}</h2>
    <ol class="stages">${STAGES.map((stage, place) => html`<li key=${stage} class=${place < at ? 'done' : place === at ? 'doing' : ''} aria-current=${place === at ? 'step' : undefined}>${t(stage)}</li>`)}</ol>
    <p class="quiet">${t('stillMaking')}</p><${Trouble} error=${found.error || stop.error} />
    <button type="button" class="danger" disabled=${!making || stop.busy || stop.done} onClick=${stop.run}>${t('stop')}</button>
    ${making && html`<${Command} text=${shell('mlengine', 'operations', 'cancel', idOf(making), '--project', project)} />`}
  </section>`;
}
