// The one import of the vendored view library, so that pages name it once and it can be changed in one place.
import { h } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

export { render, createContext } from '../vendor/preact.js';
export {
  useState, useEffect, useLayoutEffect, useMemo, useRef, useCallback, useReducer, useContext,
} from '../vendor/hooks.js';
export const html = htm.bind(h);
