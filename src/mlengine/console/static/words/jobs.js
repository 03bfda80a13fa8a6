export default { en: { title: 'Jobs' }, ko: { title: '작업' } };
