// Who has access: service accounts with their keys, and the roles that the project's policy gives.
import { html, useState } from '../core/base.js';
import { get, post, remove } from '../core/api.js';
import { moment } from '../core/format.js';
import { useAction, useLoad } from '../core/load.js';
import { useQuery } from '../core/router.js';
import { current } from '../core/session.js';
import { translator, useLanguage } from '../core/words.js';
import { Command, Dialog, Empty, Heading, Tabs, Trouble, shell } from '../parts/basics.js';
import { Grid } from '../parts/grid.js';
import words from '../words/accounts.js';

const t = translator(words);
const IAM = ['mlengine', 'iam', 'service-accounts'];
const accountsOf = (project) => `/v1/projects/${encodeURIComponent(project)}/serviceAccounts`;
const accountOf = (project, email) => `${accountsOf(project)}/${encodeURIComponent(email)}`;
const last = (name) => name.split('/').at(-1);

export default function Accounts({ project }) {
  useLanguage();
  const [tab, setTab] = useQuery('tab', 'accounts');
  return html`<${Heading} title=${t('title')} />
    ${!current() && html`<p class="quiet">${t('loopback')}</p>`}
    <${Tabs} tabs=${[['accounts', t('accounts')], ['roles', t('roles')]]} value=${tab} onChange=${setTab} label=${t('title')} />
    ${tab === 'roles' ? html`<${Policy} project=${project} />` : html`<${ServiceAccounts} project=${project} />`}`;
}

async function everyPage(path, field, signal) {
  const found = [];
  let pageToken = '';
  do {
    const page = await get(path, { pageSize: 100, pageToken }, { signal });
    found.push(...(page[field] || []));
    pageToken = page.nextPageToken || '';
  } while (pageToken);
  return found;
}

function ServiceAccounts({ project }) {
  const [asks, setAsks] = useState(null);
  const [keysOf, setKeysOf] = useQuery('account');
  const found = useLoad((signal) => everyPage(accountsOf(project), 'accounts', signal), [project]);
  const columns = [
    { id: 'email', title: t('email'), cell: (account) => account.email },
    { id: 'name', title: t('displayName'), cell: (account) => account.displayName || '–' },
    { id: 'description', title: t('description'), cell: (account) => account.description || '–' },
    { id: 'act', title: '', cell: (account) => html`<span class="buttons">
      <button type="button" class="small" aria-label=${`${t('keys')} ${account.email}`} onClick=${() => setKeysOf(account.email, { push: true })}>${t('keys')}</button>
      <button type="button" class="small" aria-label=${`${t('remove')} ${account.email}`} onClick=${() => setAsks({ email: account.email })}>${t('remove')}</button></span>` },
  ];
  const close = () => setAsks(null);
  return html`<div class="bar"><button type="button" class="main" onClick=${() => setAsks({ isNew: true })}>${t('newAccount')}</button></div>
    <${Grid} columns=${columns} rows=${found.value} error=${found.error} again=${found.reload} keyOf=${(account) => account.email} caption=${t('accounts')}
      empty=${html`<${Empty} title=${t('emptyTitle')} text=${t('emptyText')} command=${shell(IAM, 'create', 'my-trainer', '--project', project)} />`} />
    <${Command} text=${shell(IAM, 'list', '--project', project)} />
    ${asks?.isNew && html`<${NewAccount} project=${project} close=${close} made=${found.reload} />`}
    ${asks?.email && html`<${Sure} title=${t('remove')} text=${t('removeAsk', { email: asks.email })} command=${shell(IAM, 'delete', asks.email, '--project', project)}
      act=${() => remove(accountOf(project, asks.email))} close=${close} done=${found.reload} />`}
    ${keysOf && html`<${Keys} project=${project} email=${keysOf} close=${() => setKeysOf('')} />`}`;
}

// A question before what cannot be undone.
function Sure({ title, text, command, act, close, done }) {
  const doing = useAction(act);
  const run = async () => {
    if ((await doing.run()) === undefined) return;
    done();
    close();
  };
  return html`<${Dialog} title=${title} onClose=${close}><p>${text}</p><${Command} text=${command} /><${Trouble} error=${doing.error} />
    <button type="button" class="danger" disabled=${doing.busy} onClick=${run}>${title}</button><//>`;
}

function NewAccount({ project, close, made }) {
  const [given, setGiven] = useState({ accountId: '', displayName: '', description: '' });
  const create = useAction(() => post(accountsOf(project), {
    accountId: given.accountId, serviceAccount: { displayName: given.displayName, description: given.description },
  }));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await create.run())) return;
    made();
    close();
  };
  const field = (name, label, more) => html`<label><span>${label}</span><input value=${given[name]} onInput=${(event) => setGiven({ ...given, [name]: event.target.value })} ...${more} /></label>`;
  return html`<${Dialog} title=${t('newAccount')} onClose=${close}><form onSubmit=${submit}>
    <div class="fields">${field('accountId', `${t('accountId')}: ${t('accountIdHint')}`, { required: true })}${field('displayName', t('displayName'))}${field('description', t('description'))}</div>
    <${Trouble} error=${create.error} />
    <${Command} text=${shell(IAM, 'create', given.accountId || 'NAME', given.displayName && ['--display-name', given.displayName], given.description && ['--description', given.description], '--project', project)} />
    <button class="main" disabled=${create.busy}>${t('create')}</button></form><//>`;
}

function Keys({ project, email, close }) {
  const [file, setFile] = useState(null);
  const [removing, setRemoving] = useState('');
  const path = `${accountOf(project, email)}/keys`;
  const found = useLoad(async (signal) => (await get(path, undefined, { signal })).keys || [], [path]);
  const create = useAction(async () => {
    const key = await post(path, {});
    setFile({ id: last(key.name), name: `${email.split('@')[0]}-${last(key.name).slice(0, 8)}.json`, content: atob(key.privateKeyData) });
    found.reload();
    return key;
  });
  const take = useAction(() => remove(`${path}/${encodeURIComponent(removing)}`));
  const columns = [
    { id: 'key', title: t('keyId'), cell: (key) => html`<code>${last(key.name)}</code>` },
    { id: 'created', title: t('created'), class: 'time', cell: (key) => moment(key.validAfterTime) },
    { id: 'act', title: '', cell: (key) => html`<button type="button" class="small" aria-label=${`${t('removeKey')} ${last(key.name)}`} onClick=${() => setRemoving(last(key.name))}>${t('removeKey')}</button>` },
  ];
  const runTake = async () => {
    if ((await take.run()) === undefined) return;
    setRemoving('');
    found.reload();
  };
  return html`<${Dialog} title=${`${t('keys')}: ${email}`} onClose=${close}>
    ${file && html`<div class="note" role="status"><p><strong>${t('keyMade', { key: file.id.slice(0, 8) })}</strong> ${t('keyOnce')}</p>
      <p><button type="button" class="main" onClick=${() => save(file)}>${t('download', { name: file.name })}</button></p>
      <${Command} title=${t('useKey')} text=${shell('export', `MLENGINE_CREDENTIALS=$PWD/${file.name}`).replaceAll("'", '')} /></div>`}
    ${removing && html`<div class="trouble" role="alert"><p>${t('removeKeyAsk', { key: removing.slice(0, 8) })}</p>
      <button type="button" class="danger" disabled=${take.busy} onClick=${runTake}>${t('removeKey')}</button></div>`}
    <${Trouble} error=${take.error || create.error} />
    <${Grid} columns=${columns} rows=${found.value} error=${found.error} again=${found.reload} keyOf=${(key) => key.name} caption=${t('keys')} empty=${html`<p class="quiet">${t('noKeys')}</p>`} />
    <p><button type="button" disabled=${create.busy} onClick=${create.run}>${t('newKey')}</button></p>
    <${Command} text=${removing ? shell(IAM, 'keys', 'delete', removing, '--iam-account', email, '--project', project) : shell(IAM, 'keys', 'create', 'key.json', '--iam-account', email, '--project', project)} />
  <//>`;
}

function save(file) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(new Blob([file.content], { type: 'application/json' })), download: file.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Policy({ project }) {
  const [asks, setAsks] = useState(null);
  const path = `/v1/projects/${encodeURIComponent(project)}`;
  const found = useLoad((signal) => post(`${path}:getIamPolicy`, {}, { signal }), [project]);
  const roles = useLoad(async (signal) => (await get('/mlengine/v1/roles', undefined, { signal })).roles, []);
  // Made from the policy as it is now; its etag keeps two from writing over each other.
  const change = async (edit) => {
    const policy = await post(`${path}:getIamPolicy`, {});
    const bindings = new Map((policy.bindings || []).map((binding) => [binding.role, new Set(binding.members)]));
    edit(bindings);
    const kept = [...bindings].filter(([, members]) => members.size).map(([role, members]) => ({ role, members: [...members] }));
    return post(`${path}:setIamPolicy`, { policy: { ...policy, bindings: kept } });
  };
  const rows = found.value && (found.value.bindings || []).flatMap((binding) => binding.members.map((member) => ({ role: binding.role, member })));
  const columns = [
    { id: 'member', title: t('member'), cell: (row) => row.member },
    { id: 'role', title: t('role'), cell: (row) => html`${row.role}<${Granted} roles=${roles.value} name=${row.role} />` },
    { id: 'act', title: '', cell: (row) => html`<button type="button" class="small" aria-label=${`${t('take')} ${row.role} ${row.member}`} onClick=${() => setAsks(row)}>${t('take')}</button>` },
  ];
  const binding = (verb, row) => shell('mlengine', 'projects', `${verb}-iam-policy-binding`, project, '--member', row.member || 'MEMBER', '--role', row.role || 'ROLE');
  const close = () => setAsks(null);
  return html`<div class="bar"><button type="button" class="main" onClick=${() => setAsks({ isNew: true })}>${t('add')}</button></div>
    <${Grid} columns=${columns} rows=${rows} error=${found.error} again=${found.reload} keyOf=${(row) => `${row.role} ${row.member}`} caption=${t('policy')}
      empty=${html`<${Empty} title=${t('noBindings')} text=${t('emptyPolicyText')} command=${binding('add', { member: `serviceAccount:my-trainer@${project}.iam.gserviceaccount.com`, role: 'roles/ml.developer' })} />`} />
    <${Command} text=${shell('mlengine', 'projects', 'get-iam-policy', project)} />
    ${asks?.isNew && html`<${Give} project=${project} roles=${roles.value || []} command=${(row) => binding('add', row)} close=${close} done=${found.reload}
      act=${(row) => change((bindings) => bindings.set(row.role, (bindings.get(row.role) || new Set()).add(row.member)))} />`}
    ${asks?.member && html`<${Sure} title=${t('take')} text=${t('takeAsk', asks)} command=${binding('remove', asks)}
      act=${() => change((bindings) => bindings.get(asks.role)?.delete(asks.member))} close=${close} done=${found.reload} />`}`;
}

function Granted({ roles, name }) {
  const role = roles?.find((one) => one.name === name);
  if (!role) return null;
  return html`<details><summary class="quiet">${t('permissions', { count: role.permissions.length })}</summary><code>${role.permissions.join(', ')}</code></details>`;
}

function Give({ project, roles, command, act, close, done }) {
  const [row, setRow] = useState({ member: '', role: 'roles/ml.developer' });
  const accounts = useLoad((signal) => everyPage(accountsOf(project), 'accounts', signal), [project]);
  const give = useAction(() => act({ ...row, member: row.member.trim() }));
  const submit = async (event) => {
    event.preventDefault();
    if (!(await give.run())) return;
    done();
    close();
  };
  return html`<${Dialog} title=${t('add')} onClose=${close}><form onSubmit=${submit}>
    <div class="fields">
      <label class="wide"><span>${t('member')}: ${t('memberHint')}</span><input required list="members" value=${row.member} onInput=${(event) => setRow({ ...row, member: event.target.value })} />
        <datalist id="members">${(accounts.value || []).map((account) => html`<option key=${account.email} value=${`serviceAccount:${account.email}`}></option>`)}</datalist></label>
      <label class="wide"><span>${t('role')}</span><select value=${row.role} onChange=${(event) => setRow({ ...row, role: event.target.value })}>
        ${roles.map((role) => html`<option key=${role.name} value=${role.name}>${role.name}</option>`)}</select></label>
    </div>
    <${Granted} roles=${roles} name=${row.role} />
    <${Trouble} error=${give.error} /><${Command} text=${command(row)} />
    <button class="main" disabled=${give.busy}>${t('give')}</button></form><//>`;
}
