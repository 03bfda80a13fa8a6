export default {
  en: {
    title: 'Access', accounts: 'Service accounts', roles: 'Roles', email: 'Email', displayName: 'Name', description: 'Description',
    newAccount: 'New service account', accountId: 'Account id', accountIdHint: '6 to 30 small letters, digits, hyphens', create: 'Create', remove: 'Delete', keys: 'Keys',
    removeAsk: 'Delete {email} with its keys? Whoever uses one of them is refused at once.', emptyTitle: 'No service account yet', emptyText: 'Programs sign in as a service account. Make the first one:',
    keyId: 'Key', created: 'Created', newKey: 'New key', noKeys: 'This account has no key. Nobody can sign in as it.', removeKeyAsk: 'Delete key {key}? Whoever uses it is refused at once.', removeKey: 'Delete key',
    keyOnce: 'This file holds the private key. It is shown this once and kept nowhere: store it where only its user can read it.', download: 'Download {name}', useKey: 'Programs find it with:', keyMade: 'Key {key} is made.',
    policy: 'Who may do what in this project', role: 'Role', member: 'Member', add: 'Give a role', give: 'Give', take: 'Take away', takeAsk: 'Take {role} away from {member}?',
    memberHint: 'serviceAccount:NAME@PROJECT.iam.gserviceaccount.com, allUsers, …', permissions: '{count} permissions', noBindings: 'This project has no policy of its own.', emptyPolicyText: 'Give somebody a role:',
    roleHint: 'What the role may do', loopback: 'On this server whoever has no token is the owner; roles count for those who show one.',
  },
  ko: {
    title: '접근 권한', accounts: '서비스 계정', roles: '역할', email: '이메일', displayName: '이름', description: '설명',
    newAccount: '새 서비스 계정', accountId: '계정 ID', accountIdHint: '소문자, 숫자, 하이픈으로 6~30자', create: '만들기', remove: '삭제', keys: '키',
    removeAsk: '{email} 계정과 그 키를 삭제할까요? 키를 사용하던 프로그램은 즉시 거부됩니다.', emptyTitle: '아직 서비스 계정이 없습니다', emptyText: '프로그램은 서비스 계정으로 로그인합니다. 첫 계정을 만드세요:',
    keyId: '키', created: '생성', newKey: '새 키', noKeys: '이 계정에는 키가 없어 아무도 이 계정으로 로그인할 수 없습니다.', removeKeyAsk: '{key} 키를 삭제할까요? 이 키를 사용하던 프로그램은 즉시 거부됩니다.', removeKey: '키 삭제',
    keyOnce: '이 파일에는 개인 키가 들어 있습니다. 지금 한 번만 받을 수 있고 어디에도 보관되지 않습니다. 사용할 사람만 읽을 수 있는 곳에 저장하세요.', download: '{name} 내려받기', useKey: '프로그램에는 다음과 같이 알려 줍니다:', keyMade: '{key} 키를 만들었습니다.',
    policy: '이 프로젝트에서 누가 무엇을 할 수 있는지', role: '역할', member: '구성원', add: '역할 부여', give: '부여', take: '회수', takeAsk: '{member}의 {role} 역할을 회수할까요?',
    memberHint: 'serviceAccount:NAME@PROJECT.iam.gserviceaccount.com, allUsers 등', permissions: '권한 {count}개', noBindings: '이 프로젝트에는 자체 정책이 없습니다.', emptyPolicyText: '역할을 부여하는 명령:',
    roleHint: '역할로 할 수 있는 일', loopback: '이 서버에서는 토큰이 없는 요청을 소유자의 요청으로 간주합니다. 역할은 토큰을 제시한 요청에 적용됩니다.',
  },
};
