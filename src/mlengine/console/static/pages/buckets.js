// The buckets of a project, and a form for a new one.
import { html, useState } from '../core/base.js';
import { get, post } from '../core/api.js';
import { moment } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { url } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Empty, Heading, Trouble, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import words from '../words/buckets.js';

const t = translator(words);

export default function Buckets({ project }) {
  useLanguage();
  const [asks, setAsks] = useState(false);
  const found = useLoad(async (signal) => {
    const items = [];
    let pageToken = '';
    do {
      const page = await get('/storage/v1/b', { project, pageToken, maxResults: 1000 }, { signal });
      items.push(...(page.items || []));
      pageToken = page.nextPageToken || '';
    } while (pageToken);
    return items;
  }, [project]);
  const columns = [
    { id: 'name', title: t('name'), cell: (bucket) => html`<a href=${url(project, 'buckets', bucket.name)}>${bucket.name}</a>` },
    { id: 'created', title: t('created'), class: 'time', cell: (bucket) => moment(bucket.timeCreated) },
    { id: 'location', title: t('location'), cell: (bucket) => bucket.location },
    { id: 'versions', title: t('versions'), cell: (bucket) => (bucket.versioning?.enabled ? '✓' : '–') },
  ];
  return html`<${Heading} title=${t('buckets')} actions=${html`<button type="button" class="main" onClick=${() => setAsks(true)}>${t('newBucket')}</button>`} />
    <${Grid} columns=${columns} rows=${found.value} error=${found.error} again=${found.reload} keyOf=${(bucket) => bucket.name} caption=${t('buckets')}
      empty=${html`<${Empty} text=${t('emptyText')} command=${shell('mlengine', 'storage', 'mb', `gs://${project}-data`)} />`} />
    <${Command} text=${shell('mlengine', 'storage', 'ls', '--project', project)} />
    ${asks && html`<${NewBucket} project=${project} close=${() => setAsks(false)} made=${found.reload} />`}`;
}

function NewBucket({ project, close, made }) {
  const [name, setName] = useState('');
  const create = useAction(() => post('/storage/v1/b', { name }, { query: { project } }));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await create.run())) return;
    made();
    close();
  };
  return html`<${Dialog} title=${t('newBucket')} onClose=${close}>
    <form onSubmit=${submit}>
      <label><span>${t('name')}: ${t('nameHint')}</span><input required value=${name} onInput=${(event) => setName(event.target.value)} /></label>
      <${Trouble} error=${create.error} />
      <${Command} text=${shell('mlengine', 'storage', 'mb', `gs://${name || 'NAME'}`, '--project', project)} />
      <button class="main" disabled=${create.busy}>${t('create')}</button>
    </form><//>`;
}
