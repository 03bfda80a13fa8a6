// Reading from the server within a part: once, again and again while the page is looked at, or page by page.
import { useCallback, useEffect, useRef, useState } from './base.js';

// {value, error, loading, reload}. `read` gets an AbortSignal; it runs again when something in `by` changes, and
// every `every` milliseconds while the tab is visible (0: never).
export function useLoad(read, by, { every = 0 } = {}) {
  const [state, setState] = useState({ value: undefined, error: null, loading: true });
  const reading = useRef(read);
  reading.current = read;
  const pace = useRef(every);
  pace.current = every;
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const control = new AbortController();
    let timer;
    const round = async () => {
      try {
        const value = await reading.current(control.signal);
        setState({ value, error: null, loading: false });
      } catch (error) {
        if (control.signal.aborted) return;
        setState((before) => ({ ...before, error, loading: false }));
      }
      // After the drawing that what was read leads to: the pace may depend on it.
      await new Promise((drawn) => setTimeout(drawn));
      const wait = typeof pace.current === 'function' ? pace.current() : pace.current;
      if (wait && !control.signal.aborted) timer = setTimeout(document.hidden ? later : round, wait);
    };
    const later = () => document.addEventListener('visibilitychange', round, { once: true, signal: control.signal });
    setState((before) => ({ ...before, loading: true }));
    round();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [...by, turn]);
  const reload = useCallback(() => setTurn((count) => count + 1), []);
  return { ...state, reload };
}

// An action that a button starts: {run, busy, error, done}.
export function useAction(act) {
  const [state, setState] = useState({ busy: false, error: null, done: false });
  const run = async (...given) => {
    setState({ busy: true, error: null, done: false });
    try {
      const value = await act(...given);
      setState({ busy: false, error: null, done: true });
      return value;
    } catch (error) {
      setState({ busy: false, error, done: false });
      return undefined;
    }
  };
  return { ...state, run, clear: () => setState({ busy: false, error: null, done: false }) };
}
