// Who changed what in a project, newest first; the filter is in the address.
import { html, useEffect, useState } from '../core/base.js';
import { get } from '../core/api.js';
import { moment } from '../core/format.js';
import { useLoad } from '../core/load.js';
import { useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Empty, Heading, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import words from '../words/audit.js';

const t = translator(words);
const PAGE = 100;
const quoted = (text) => `"${text.replace(/[\\"]/g, '\\$&')}"`;
// What the browser's own field gives is in its reader's zone.
const instant = (local) => new Date(local).toISOString().replace('.000Z', 'Z');

export function filterOf({ caller, method, resource, from, until, bad }) {
  const parts = [['caller', caller], ['method', method], ['resource', resource]].filter(([, text]) => text.trim()).map(([name, text]) => `${name}:${quoted(text.trim())}`);
  if (from) parts.push(`time>=${instant(from)}`);
  if (until) parts.push(`time<=${instant(until)}`);
  if (bad) parts.push('status!=OK');
  return parts.join(' AND ');
}

export default function Audit({ project }) {
  useLanguage();
  const [caller, setCaller] = useQuery('caller');
  const [method, setMethod] = useQuery('method');
  const [resource, setResource] = useQuery('resource');
  const [from, setFrom] = useQuery('from');
  const [until, setUntil] = useQuery('until');
  const [bad, setBad] = useQuery('bad');
  const filter = filterOf({ caller, method, resource, from, until, bad });
  const path = `/mlengine/v1/projects/${encodeURIComponent(project)}/auditLog`;
  const [more, setMore] = useState({ entries: [], token: null, busy: false, error: null });
  const found = useLoad((signal) => get(path, { filter, pageSize: PAGE }, { signal }), [path, filter]);
  useEffect(() => setMore({ entries: [], token: null, busy: false, error: null }), [path, filter]);
  const token = more.token ?? found.value?.nextPageToken;
  const next = async () => {
    setMore({ ...more, busy: true });
    try {
      const page = await get(path, { filter, pageSize: PAGE, pageToken: token });
      setMore({ entries: [...more.entries, ...(page.entries || [])], token: page.nextPageToken || '', busy: false, error: null });
    } catch (error) {
      setMore({ ...more, busy: false, error });
    }
  };
  const rows = found.value ? [...(found.value.entries || []), ...more.entries] : null;
  const who = (entry) => ({ owner: t('whoAmI'), nobody: t('nobody') })[entry.caller] || entry.caller;
  const columns = [
    { id: 'time', title: t('time'), class: 'time', cell: (entry) => moment(entry.time) },
    { id: 'caller', title: t('caller'), class: 'who', cell: (entry) => html`${who(entry)}${entry.job && html`<div class="quiet">${t('job')}: ${entry.job}</div>`}${entry.key && html`<div class="quiet" title=${entry.key}>${t('key')}: ${entry.key.slice(0, 8)}</div>`}` },
    { id: 'method', title: t('method'), cell: (entry) => html`<code>${entry.method}</code>` },
    { id: 'resource', title: t('resource'), class: 'break', cell: (entry) => entry.resource || '–' },
    { id: 'status', title: t('status'), cell: (entry) => html`<span class=${`state ${entry.status === 'OK' ? 'good' : 'bad'}`}><i aria-hidden="true"></i>${entry.status}</span>${entry.message && html`<div class="quiet">${entry.message}</div>`}` },
  ];
  const field = (label, value, change, more_) => html`<label><span>${label}</span><input value=${value} onInput=${(event) => change(event.target.value)} ...${more_} /></label>`;
  const empty = filter || token
    ? html`<p class="quiet">${t('noMatch')}</p>`
    : html`<${Empty} title=${t('empty')} text=${t('emptyText')} command=${shell('mlengine', 'storage', 'mb', `gs://${project}-data`, '--project', project)} />`;
  return html`<${Heading} title=${t('title')} /><p class="quiet">${t('explain')}</p>
    <form class="bar full" role="search" onSubmit=${(event) => event.preventDefault()}>
      ${field(`${t('caller')} (${t('contains')})`, caller, setCaller, { type: 'search' })}
      ${field(`${t('method')} (${t('contains')})`, method, setMethod, { type: 'search' })}
      ${field(`${t('resource')} (${t('contains')})`, resource, setResource, { type: 'search' })}
      ${field(t('from'), from, setFrom, { type: 'datetime-local' })}
      ${field(t('until'), until, setUntil, { type: 'datetime-local' })}
      <label class="check"><input type="checkbox" checked=${bad === '1'} onChange=${(event) => setBad(event.target.checked ? '1' : '')} />${t('only')}</label>
    </form>
    <${Grid} columns=${columns} rows=${rows} caption=${t('title')} empty=${empty} loading=${more.busy} error=${found.error || more.error} again=${found.reload} more=${token ? next : null} />
    ${rows && !rows.length && token && html`<p><button type="button" disabled=${more.busy} onClick=${next}>${t('older')}</button></p>`}
    <${Command} text=${shell('mlengine', 'audit', 'list', '--project', project, '--limit', PAGE, filter && ['--filter', filter])} />`;
}
