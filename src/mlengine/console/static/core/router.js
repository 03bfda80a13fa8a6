// Which page an address means. Every place in the console has an address of its own: /console/p/PROJECT/…
import { useEffect, useState } from './base.js';

const ROOT = '/console';
let table = [];

// `routes`: [[pattern, load, section]]; a pattern is "/jobs/:job", a last component ":path*" takes the rest.
export function define(routes) {
  table = routes.map(([pattern, load, section]) => {
    const names = [];
    const source = pattern.replace(/:(\w+)(\*?)/g, (_, name, rest) => {
      names.push(name);
      return rest ? '(.*)' : '([^/]+)';
    });
    return { match: new RegExp(`^${source}$`), names, load, section };
  });
}

export function resolve(pathname) {
  const found = pathname.match(/^\/console\/p\/([^/]+)(\/.*)?$/);
  if (!found) return null;
  const project = decodeURIComponent(found[1]);
  const path = (found[2] || '/').replace(/(.)\/$/, '$1');
  for (const { match, names, load, section } of table) {
    const values = path.match(match);
    if (!values) continue;
    const parameters = Object.fromEntries(names.map((name, place) => [name, decodeURIComponent(values[place + 1])]));
    return { project, parameters, load, section };
  }
  return { project, parameters: {}, load: null, section: '' };
}

// The address of a place in `project`. Components are encoded here: url('p', 'jobs', name).
export const url = (project, ...parts) => `${ROOT}/p/${[project, ...parts].map(encodeURIComponent).join('/')}`;

export function go(to, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  dispatchEvent(new PopStateEvent('popstate'));
}

export function useLocation() {
  const [place, setPlace] = useState(location.pathname + location.search);
  useEffect(() => {
    const moved = () => setPlace(location.pathname + location.search);
    const clicked = (event) => {
      const link = event.target.closest?.('a[href]');
      const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
      if (!link || !plain || link.target || link.hasAttribute('download') || event.defaultPrevented) return;
      const to = new URL(link.href);
      if (to.origin !== location.origin || !to.pathname.startsWith(`${ROOT}/p/`)) return;
      if (to.hash && to.pathname === location.pathname && to.search === location.search) return; // a place on this page
      event.preventDefault();
      go(to.pathname + to.search + to.hash);
      scrollTo(0, 0);
    };
    addEventListener('popstate', moved);
    document.addEventListener('click', clicked);
    return () => {
      removeEventListener('popstate', moved);
      document.removeEventListener('click', clicked);
    };
  }, []);
  return place;
}

// A value that lives in the address (?tab=logs), so that a link leads to the same view.
export function useQuery(name, fallback = '') {
  const [value, setValue] = useState(new URLSearchParams(location.search).get(name) ?? fallback);
  useEffect(() => {
    const moved = () => setValue(new URLSearchParams(location.search).get(name) ?? fallback);
    addEventListener('popstate', moved);
    return () => removeEventListener('popstate', moved);
  }, [name, fallback]);
  const change = (next, { push = false } = {}) => {
    const query = new URLSearchParams(location.search);
    if (next === fallback || next === '') query.delete(name);
    else query.set(name, next);
    const text = query.toString();
    history[push ? 'pushState' : 'replaceState'](null, '', location.pathname + (text ? `?${text}` : ''));
    setValue(next);
  };
  return [value, change];
}
