// English and Korean. Each page brings its words ({en: {…}, ko: {…}}) and `translator` makes its `t`.
import { useEffect, useState } from './base.js';

const KEPT = 'mlengine.language';
export const LANGUAGES = { en: 'English', ko: '한국어' };
let language = localStorage.getItem(KEPT) || ((navigator.language || '').startsWith('ko') ? 'ko' : 'en');
document.documentElement.lang = language;
const listeners = new Set();

export const spoken = () => language;
export function speak(next) {
  language = next;
  localStorage.setItem(KEPT, next);
  document.documentElement.lang = next;
  listeners.forEach((listen) => listen(next));
}

// The part is drawn again when the language changes.
export function useLanguage() {
  const [now, setNow] = useState(language);
  useEffect(() => {
    listeners.add(setNow);
    return () => listeners.delete(setNow);
  }, []);
  return now;
}

// t('key', {name: 'x'}) with "… {name} …". A key that a language lacks is taken from English; the tests find it.
export function translator(words) {
  return (key, values = {}) => {
    const text = words[language]?.[key] ?? words.en[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  };
}
