export default {
  en: {
    title: 'Settings', name: 'Setting', value: 'Value', origin: 'From', meaning: 'Meaning', search: 'Search', noMatch: 'No setting fits.', unset: 'not set',
    flag: 'flag', environment: 'environment', 'mlengine.toml': 'mlengine.toml', default: 'default', changed: 'Only what is not the default',
    explain: 'What is in force since the server started. A flag beats an environment variable MLENGINE_NAME, which beats mlengine.toml in the data directory. Restart the server after a change.',
  },
  ko: {
    title: '설정', name: '설정', value: '값', origin: '출처', meaning: '의미', search: '검색', noMatch: '일치하는 설정이 없습니다.', unset: '지정 안 함',
    flag: '플래그', environment: '환경 변수', 'mlengine.toml': 'mlengine.toml', default: '기본값', changed: '기본값이 아닌 것만',
    explain: '서버가 시작된 뒤 적용 중인 값입니다. 플래그가 환경 변수 MLENGINE_이름보다, 환경 변수가 데이터 디렉터리의 mlengine.toml보다 우선합니다. 바꾼 뒤에는 서버를 다시 시작하세요.',
  },
};
