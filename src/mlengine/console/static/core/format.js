// Times, sizes, numbers and durations as people read them, in the reader's zone and language.
import { spoken } from './words.js';

export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

export function moment(text) {
  if (!text) return '–';
  const options = { dateStyle: 'medium', timeStyle: 'medium', hour12: false };
  return new Intl.DateTimeFormat(spoken(), options).format(new Date(text));
}

export function since(text, until = Date.now()) {
  if (!text) return '–';
  return duration((new Date(until) - new Date(text)) / 1000);
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 0) seconds = 0;
  const ko = spoken() === 'ko';
  const [d, h, m, s] = ko ? ['일', '시간', '분', '초'] : ['d', 'h', 'min', 's'];
  if (seconds < 10) return `${seconds.toFixed(1)} ${s}`;
  if (seconds < 60) return `${Math.round(seconds)} ${s}`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} ${m} ${Math.floor(seconds % 60)} ${s}`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} ${h} ${Math.floor((seconds % 3600) / 60)} ${m}`;
  return `${Math.floor(seconds / 86400)} ${d} ${Math.floor((seconds % 86400) / 3600)} ${h}`;
}

export function bytes(count) {
  if (count === undefined || count === null || count === '') return '–';
  let value = Number(count);
  for (const unit of ['B', 'kB', 'MB', 'GB', 'TB']) {
    if (value < 1000 || unit === 'TB') return `${unit === 'B' ? value : value.toPrecision(3)} ${unit}`;
    value /= 1000;
  }
  return '';
}

export const number = (value, digits = 2) =>
  value === undefined || value === null || value === ''
    ? '–'
    : new Intl.NumberFormat(spoken(), { maximumFractionDigits: digits }).format(Number(value));

export const percent = (share) => (Number.isFinite(share) ? `${number(100 * share, 1)} %` : '–');
