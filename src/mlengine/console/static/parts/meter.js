// A share of something as a bar with its words: never by length alone.
import { html } from '../core/base.js';

export function Meter({ name, share, text }) {
  const part = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
  return html`<div class="meter"><span>${name}</span><span class="quiet">${text}</span>
    <meter min="0" max="1" low="0.75" high="0.92" optimum="0.2" value=${part} aria-label=${`${name}: ${text}`}></meter></div>`;
}
