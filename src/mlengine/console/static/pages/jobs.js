// All jobs of a project, newest first: filter, search, page by page.
import { html, useEffect, useState } from '../core/base.js';
import { get } from '../core/api.js';
import { moment, since } from '../core/format.js';
import { useLoad } from '../core/load.js';
import { url, useQuery } from '../core/router.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Empty, Heading, Labels, State, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import words from '../words/job.js';

const t = translator(words);
const STATES = ['QUEUED', 'PREPARING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLING', 'CANCELLED'];
const PAGE = 50;
const MOVING = new Set(['QUEUED', 'PREPARING', 'RUNNING', 'CANCELLING']);

export function filterOf(state, text) {
  const parts = state ? [`state=${state}`] : [];
  for (const word of text.trim().split(/\s+/).filter(Boolean)) {
    const label = word.match(/^([a-z][\w-]*)=(.*)$/);
    parts.push(label ? `labels.${label[1]}="${label[2]}"` : `jobId:"${word}"`);
  }
  return parts.join(' AND ');
}

export default function Jobs({ project }) {
  useLanguage();
  const [state, setState] = useQuery('state');
  const [text, setText] = useQuery('q');
  const filter = filterOf(state, text);
  const [more, setMore] = useState({ jobs: [], token: null, busy: false, error: null });
  const path = `/v1/projects/${encodeURIComponent(project)}/jobs`;
  const { value, error, loading, reload } = useLoad(
    (signal) => get(path, { filter, pageSize: PAGE }, { signal }), [project, filter], { every: 4000 },
  );
  useEffect(() => setMore({ jobs: [], token: null, busy: false, error: null }), [project, filter]);
  const token = more.token ?? value?.nextPageToken;
  const next = async () => {
    setMore({ ...more, busy: true });
    try {
      const found = await get(path, { filter, pageSize: PAGE, pageToken: token });
      setMore({ jobs: [...more.jobs, ...(found.jobs || [])], token: found.nextPageToken || '', busy: false, error: null });
    } catch (fault) {
      setMore({ ...more, busy: false, error: fault });
    }
  };
  const first = value?.jobs || [];
  const seen = new Set(first.map((job) => job.jobId));
  const rows = value ? [...first, ...more.jobs.filter((job) => !seen.has(job.jobId))] : null;
  const columns = [
    { id: 'job', title: t('name'), cell: (job) => html`<a href=${url(project, 'jobs', job.jobId)}>${job.jobId}</a>` },
    { id: 'state', title: t('state'), cell: (job) => html`<${State} value=${job.state} />` },
    { id: 'created', title: t('created'), class: 'time', cell: (job) => moment(job.createTime) },
    { id: 'took', title: t('duration'), class: 'number', cell: (job) => (job.startTime ? since(job.startTime, MOVING.has(job.state) ? undefined : job.endTime) : '–') },
    { id: 'runtime', title: t('runtime'), cell: (job) => job.trainingInput?.runtimeVersion },
    { id: 'labels', title: t('labels'), cell: (job) => html`<${Labels} labels=${job.labels} />` },
  ];
  const empty = filter
    ? html`<p class="quiet">${t('noMatch')}</p>`
    : html`<${Empty} title=${t('empty')} text=${t('emptyText')}
        command="mlengine jobs submit training my_job --module-name trainer.task --package-path trainer/ --region us-central1" />`;
  return html`
    <${Heading} title=${t('jobs')} actions=${html`<a class="button main" href=${url(project, 'jobs', 'new')}>${t('newJob')}</a>`} />
    <form class="bar" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label><span>${t('state')}</span><select value=${state} onChange=${(event) => setState(event.target.value)}>
        <option value="">${t('allStates')}</option>${STATES.map((name) => html`<option key=${name}>${name}</option>`)}</select></label>
      <label><span>${t('search')}</span><input type="search" placeholder=${t('filterHint')} size="32" value=${text} onInput=${(event) => setText(event.target.value)} /></label>
    </form>
    <${Grid} columns=${columns} rows=${rows} keyOf=${(job) => job.jobId} caption=${t('jobs')} empty=${empty}
      loading=${more.busy || (loading && !rows)} error=${error || more.error} again=${reload} more=${token ? next : null} />
    ${rows?.length > 0 && html`<p class="quiet" role="status">${t('showing', { count: rows.length })}</p>`}
    <${Command} text=${shell('mlengine', 'jobs', 'list', '--project', project, filter && ['--filter', filter])} />`;
}
