// The shell around every page: who is asking, which project, where one is, language and theme.
import { html, render, useEffect, useState } from './core/base.js';
import { ApiError, get } from './core/api.js';
import { current, onChange, signInWithKey, signInWithToken, signOut } from './core/session.js';
import { define, go, resolve, url, useLocation } from './core/router.js';
import { LANGUAGES, speak, spoken, translator, useLanguage } from './core/words.js';
import { zone } from './core/format.js';
import { Command, Loading, Trouble } from './parts/basics.js';
import { ROUTES, SECTIONS } from './pages/all.js';
import words from './words/shell.js';

const t = translator(words);
define(ROUTES);
// The page comes while the projects are asked for.
resolve(location.pathname)?.load?.().catch(() => {});

const THEME = 'mlengine.theme';
function dress(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  dispatchEvent(new Event('mlengine-theme'));
}
dress(localStorage.getItem(THEME) || '');

function App() {
  useLanguage();
  const place = useLocation();
  const [session, setSession] = useState(current());
  const [projects, setProjects] = useState(null);
  const [refused, setRefused] = useState(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => onChange(setSession), []);
  useEffect(() => {
    let timer;
    get('/v1/projects').then(
      (found) => {
        setProjects((found.projects || []).map((project) => project.projectId));
        setRefused(null);
      },
      (error) => {
        setRefused(error);
        if (error.status === 'UNREACHABLE') timer = setTimeout(() => setTurn(turn + 1), 2000);
      },
    );
    return () => clearTimeout(timer);
  }, [session, turn]);
  const found = resolve(place.split('?')[0]);
  useEffect(() => {
    if (found || !projects) return;
    const first = session?.project || projects[0];
    if (first) go(url(first, 'jobs'), { replace: true });
  }, [place, projects]);
  if (refused?.code === 401 || (projects && !projects.length && !session)) return html`<${SignIn} />`;
  if (refused) return html`<div class="sign"><${Trouble} error=${refused} again=${() => setTurn(turn + 1)} /></div>`;
  if (!found || !projects) return html`<${Loading} />`;
  return html`<${Shell} found=${found} place=${place} projects=${projects} session=${session} />`;
}

function Shell({ found, place, projects, session }) {
  const [open, setOpen] = useState(false);
  const { project, section } = found;
  useEffect(() => setOpen(false), [place]);
  const known = projects.includes(project) ? projects : [project, ...projects];
  return html`<div class="shell">
    <a class="skip" href="#content">${t('skip')}</a>
    <header class="top">
      <button class="menu" type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>${t('menu')}</button>
      <a class="brand" href=${url(project, 'jobs')}><img src="/console/icon.svg" alt="mlengine" /><span aria-hidden="true">mlengine</span></a>
      <select aria-label=${t('project')} value=${project} onChange=${(event) => go(url(event.target.value, section || 'jobs'))}>
        ${known.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select>
      <span class="space"></span>
      <span class="quiet zone">${t('timesIn', { zone: zone() })}</span>
      <select aria-label=${t('language')} value=${spoken()} onChange=${(event) => speak(event.target.value)}>
        ${Object.entries(LANGUAGES).map(([id, name]) => html`<option key=${id} value=${id}>${name}</option>`)}
      </select>
      <${Theme} />
      ${session && html`<span class="who quiet" title=${session.email}>${session.email}</span>
        <button class="small" type="button" onClick=${signOut}>${t('signOut')}</button>`}
    </header>
    <aside class=${open ? 'side open' : 'side'}><nav aria-label=${t('menu')}>
      ${SECTIONS.map(([group, names]) => html`<div key=${group}><h2>${t(group)}</h2>
        ${names.map((name) => html`<a key=${name} href=${url(project, name)} aria-current=${name === section ? 'page' : undefined}>${t(name)}</a>`)}</div>`)}
      <h2>API</h2><a href="/docs" target="_blank" rel="noopener">${t('docs')}</a>
    </nav></aside>
    <main id="content" tabindex="-1"><${Page} key=${place.split('?')[0]} found=${found} /></main>
  </div>`;
}

// A page is a module whose default export is its part: it gets `project` and what its address names.
function Page({ found }) {
  const [page, setPage] = useState(null);
  useEffect(() => {
    found.load?.().then((module) => setPage(() => module.default), (error) => setPage(() => () => html`<h1>${t('failedPage')}</h1><${Trouble} error=${error} />`));
  }, []);
  if (!found.load)
    return html`<h1>${t('notFound')}</h1><p class="quiet">${t('notFoundHint')}</p><a class="button" href=${url(found.project, 'jobs')}>${t('home')}</a>`;
  return page ? html`<${page} project=${found.project} ...${found.parameters} />` : html`<${Loading} />`;
}

function Theme() {
  const [theme, setTheme] = useState(localStorage.getItem(THEME) || '');
  const choose = (event) => {
    localStorage.setItem(THEME, event.target.value);
    setTheme(event.target.value);
    dress(event.target.value);
  };
  return html`<select aria-label=${t('theme')} value=${theme} onChange=${choose}>
    <option value="">${t('auto')}</option><option value="light">${t('light')}</option><option value="dark">${t('dark')}</option>
  </select>`;
}

function SignIn() {
  const [error, setError] = useState(null);
  const attempt = async (act) => {
    setError(null);
    try {
      await act();
    } catch (fault) {
      setError(new ApiError(401, { error: { message: t(fault.message) } }));
    }
  };
  const chosen = (event) => attempt(async () => signInWithKey(await event.target.files[0].text()));
  const given = (event) => {
    event.preventDefault();
    attempt(() => signInWithToken(new FormData(event.target).get('token')));
  };
  return html`<main class="sign card">
    <h1>${t('signIn')}</h1><p class="quiet">${t('signInWhy')}</p>
    <label><span>${t('keyFile')}</span><input type="file" accept=".json,application/json" onChange=${chosen} /></label>
    <p class="quiet">${t('keyStays')}</p>
    <form onSubmit=${given}>
      <label><span>${t('orToken')}</span><input name="token" type="password" autocomplete="off" required /></label>
      <p><button class="main">${t('useToken')}</button></p>
    </form>
    <${Command} text="mlengine auth print-access-token" title=${t('tokenHow')} />
    <${Trouble} error=${error} />
  </main>`;
}

render(html`<${App} />`, document.getElementById('app'));
