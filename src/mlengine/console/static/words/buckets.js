export default {
  en: {
    buckets: 'Buckets', bucket: 'Bucket', name: 'Name', created: 'Created', location: 'Location', versions: 'Keeps old versions', size: 'Size', changed: 'Changed', type: 'Type',
    newBucket: 'New bucket', create: 'Create', nameHint: '3 to 63 small letters, digits, - _ .', emptyText: 'Data, packages and models live in buckets. Make the first one:',
    upload: 'Upload files', drop: 'Drop files here, or choose them.', uploading: 'Uploading {name}: {percent}', uploaded: '{name} is uploaded.', remove: 'Delete', removeAsk: 'Delete {name}? This cannot be undone.',
    emptyFolder: 'Nothing is in here.', download: 'Download', preview: 'Preview', folder: 'folder', checksum: 'CRC32C', generation: 'Generation', url: 'Address',
    noPreview: 'There is no preview of this kind of file.', cut: 'The first {shown} of {all}.', rows: '{count} rows, {columns} columns', filterPrefix: 'Begins with', removeBucket: 'Delete bucket', removeBucketAsk: 'Delete bucket {name}? Only an empty bucket can be deleted: delete what is in it first.', newFolder: 'New folder', newFolderText: 'A folder is the beginning of names up to a /. It is there once a file is in it: open it and drop files there.', openFolder: 'Open folder',
    uploadedMany: '{count} files are uploaded.', emptyFolderText: 'Drop files here, choose them, or:', noneBegins: 'No name begins with {begins} here.', firstNames: 'The first {count} names are shown.', allNames: '{count} names', emptyFile: 'The file is empty.', tooBig: 'An image of {size} is not shown.',
  },
  ko: {
    buckets: '버킷', bucket: '버킷', name: '이름', created: '생성', location: '위치', versions: '이전 버전 보관', size: '크기', changed: '변경', type: '유형',
    newBucket: '새 버킷', create: '만들기', nameHint: '소문자, 숫자, - _ . 로 3~63자', emptyText: '데이터, 패키지, 모델은 버킷에 둡니다. 첫 버킷을 만드세요:',
    upload: '파일 올리기', drop: '파일을 여기에 끌어다 놓거나 선택하세요.', uploading: '{name} 올리는 중: {percent}', uploaded: '{name} 파일을 올렸습니다.', remove: '삭제', removeAsk: '{name} 파일을 삭제할까요? 되돌릴 수 없습니다.',
    emptyFolder: '비어 있습니다.', download: '내려받기', preview: '미리 보기', folder: '폴더', checksum: 'CRC32C', generation: '세대', url: '주소',
    noPreview: '이 형식은 미리 볼 수 없습니다.', cut: '{all} 중 처음 {shown}만 표시합니다.', rows: '행 {count}개, 열 {columns}개', filterPrefix: '이름의 시작 부분', removeBucket: '버킷 삭제', removeBucketAsk: '{name} 버킷을 삭제할까요? 빈 버킷만 삭제할 수 있으니, 먼저 안에 있는 파일을 삭제하세요.', newFolder: '새 폴더', newFolderText: '폴더는 파일 이름에서 / 앞부분을 가리킵니다. 파일이 하나라도 들어가야 생기므로, 폴더를 열고 파일을 끌어다 놓으세요.', openFolder: '폴더 열기',
    uploadedMany: '파일 {count}개를 올렸습니다.', emptyFolderText: '파일을 여기에 끌어다 놓거나 선택하세요. 명령으로는 다음과 같습니다:', noneBegins: '{begins}(으)로 시작하는 이름이 없습니다.', firstNames: '처음 {count}개를 표시했습니다.', allNames: '총 {count}개', emptyFile: '빈 파일입니다.', tooBig: '{size} 이미지는 표시하지 않습니다.',
  },
};
