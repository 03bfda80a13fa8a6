// The settings in force: what each is, where it came from, what it means.
import { html } from '../core/base.js';
import { get } from '../core/api.js';
import { useLoad } from '../core/load.js';
import { useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Heading, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import words from '../words/settings.js';

const t = translator(words);

export default function Settings() {
  useLanguage();
  const [text, setText] = useQuery('q');
  const [changed, setChanged] = useQuery('changed');
  const found = useLoad(async (signal) => (await get('/mlengine/v1/settings', undefined, { signal })).settings, []);
  const wanted = text.trim().toLowerCase();
  const rows = found.value?.filter((setting) => (!changed || setting.origin !== 'default')
    && [setting.name, setting.value, setting.meaning].some((part) => part.toLowerCase().includes(wanted)));
  const columns = [
    { id: 'name', title: t('name'), cell: (setting) => html`<code>${setting.name}</code>` },
    { id: 'value', title: t('value'), class: 'break', cell: (setting) => (setting.value === '' ? html`<span class="quiet">${t('unset')}</span>` : setting.value) },
    { id: 'origin', title: t('origin'), cell: (setting) => html`<span class=${`state ${setting.origin === 'default' ? 'calm' : 'live'} still`}>${t(setting.origin)}</span>` },
    { id: 'meaning', title: t('meaning'), cell: (setting) => setting.meaning },
  ];
  return html`<${Heading} title=${t('title')} /><p class="quiet">${t('explain')}</p>
    <form class="bar" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label><span>${t('search')}</span><input type="search" size="28" value=${text} onInput=${(event) => setText(event.target.value)} /></label>
      <label class="check"><input type="checkbox" checked=${changed === '1'} onChange=${(event) => setChanged(event.target.checked ? '1' : '')} />${t('changed')}</label>
    </form>
    <${Grid} columns=${columns} rows=${rows} error=${found.error} again=${found.reload} keyOf=${(setting) => setting.name} caption=${t('title')} empty=${html`<p class="quiet">${t('noMatch')}</p>`} />
    <${Command} text=${shell('mlengine', 'server', 'settings')} />`;
}
