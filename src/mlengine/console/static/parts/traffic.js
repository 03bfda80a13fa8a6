// Who answers a model's requests: the split between versions, the copies, and the way back.
import { html, useState } from '../core/base.js';
import { post } from '../core/api.js';
import { useAction } from '../core/load.js';
import { idOf, modelPath, own } from '../core/models.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Trouble, shell } from './basics.js';
import words from '../words/model.js';

const t = translator(words);

export const splitText = (split) => Object.entries(split || {}).map(([version, share]) => (share === 100 ? version : `${version} ${share} %`)).join(', ');
const options = (given, unit) => Object.entries(given).map(([version, share]) => `${version}=${share}${unit}`).join(',');

// `versions`: ids of those that are READY. A slider and a number say the same share.
export function TrafficEditor({ project, model, traffic, versions, close, changed }) {
  useLanguage();
  const [split, setSplit] = useState(traffic?.split || {});
  const [shadow, setShadow] = useState(Object.fromEntries(Object.entries(traffic?.shadow || {}).map(([version, part]) => [version, Math.round(1000 * part) / 10])));
  const given = (shares) => Object.fromEntries(Object.entries(shares).filter(([, share]) => Number(share) > 0).map(([version, share]) => [version, Number(share)]));
  const body = {
    split: given(split),
    shadow: Object.fromEntries(Object.entries(given(shadow)).map(([version, percent]) => [version, percent / 100])),
  };
  const sum = Object.values(body.split).reduce((total, share) => total + share, 0);
  const apply = useAction(() => post(own(`${modelPath(project, model)}:setTraffic`), body));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await apply.run())) return;
    changed();
    close();
  };
  const move = (version, share) => {
    const next = { ...split, [version]: share };
    // With two versions the other one is what is left.
    const others = versions.filter((name) => name !== version);
    if (others.length === 1) next[others[0]] = Math.max(0, 100 - share);
    setSplit(next);
  };
  const even = () => {
    const part = Math.floor(100 / versions.length);
    setSplit(Object.fromEntries(versions.map((version, at) => [version, at === 0 ? 100 - part * (versions.length - 1) : part])));
  };
  return html`<${Dialog} title=${t('split')} onClose=${close}>
    <form onSubmit=${submit}>
      <p class="quiet">${t('splitText')}</p>
      <table class="shares"><caption class="unseen">${t('split')}</caption>
        <thead><tr><th scope="col">${t('version')}</th><th scope="col">${t('share')}</th><th scope="col">${t('copies')}</th></tr></thead>
        <tbody>${versions.map((version) => html`<tr key=${version}><th scope="row">${version}</th>
          <td><div class="slider"><input type="range" min="0" max="100" step="1" aria-label=${`${version}: ${t('share')}`} value=${split[version] || 0} onInput=${(event) => move(version, Number(event.target.value))} />
            <input type="number" min="0" max="100" step="1" aria-label=${`${version}: ${t('share')}, %`} value=${split[version] || 0} onInput=${(event) => move(version, Number(event.target.value))} /></div></td>
          <td><input type="number" min="0" max="100" step="any" aria-label=${`${version}: ${t('copies')}`} disabled=${Number(split[version]) > 0} value=${Number(split[version]) > 0 ? '' : shadow[version] || 0}
            onInput=${(event) => setShadow({ ...shadow, [version]: event.target.value })} /></td></tr>`)}</tbody>
      </table>
      <p role="status" class=${sum === 100 ? 'quiet' : 'wrong'}>${t('sum', { sum })}</p>
      <p class="quiet">${t('copiesText')}</p>
      <${Trouble} error=${apply.error} />
      <${Command} text=${shell('mlengine', 'models', 'set-traffic', model, '--split', options(body.split, ''),
        Object.keys(body.shadow).length ? ['--shadow', options(given(shadow), '%')] : '--clear-shadow', '--project', project)} />
      <p class="row-of-buttons"><button class="main" disabled=${apply.busy || sum !== 100}>${t('apply')}</button>
        <button type="button" onClick=${even}>${t('even')}</button></p>
    </form><//>`;
}

// A button that says what it returns to, and asks once more.
export function RollBack({ project, model, previous, changed }) {
  useLanguage();
  const [asks, setAsks] = useState(false);
  const what = splitText(previous?.split);
  const back = useAction(() => post(own(`${modelPath(project, model)}:rollBack`), {}));
  const run = async () => {
    if (!(await back.run())) return;
    changed();
    setAsks(false);
  };
  return html`<button type="button" disabled=${!previous} title=${previous ? '' : t('nothingBefore')} onClick=${() => setAsks(true)}>${previous ? t('rollBackTo', { what }) : t('rollBack')}</button>
    ${asks && html`<${Dialog} title=${t('rollBack')} onClose=${() => setAsks(false)}>
      <p>${t('rollBackAsk', { what })}</p><${Trouble} error=${back.error} />
      <${Command} text=${shell('mlengine', 'models', 'roll-back', model, '--project', project)} />
      <button type="button" class="main" disabled=${back.busy} onClick=${run}>${t('rollBackTo', { what })}</button><//>`}`;
}

export const versionsReady = (versions) => versions.filter((version) => version.state === 'READY').map((version) => idOf(version.name));
