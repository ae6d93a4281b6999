// What `import ... from 'kiln-build-cache'` gives: the one file that exports again what others define, since an
// importer of the package cannot name them. What is not here is not promised to anybody.
export { CacheError } from '../base/cache-error.ts';
export type { ErrorDetail } from '../base/cache-error.ts';
export type { Code, FailureKind } from '../base/failures.ts';
export type { ByteSource } from '../base/byte-source.ts';
export type { ByteRange } from '../blob/blob-store.ts';
export type { ActionResultFields, BlobSource, CacheCallOptions, CacheClient, GetBlobOptions, GetBytesOptions } from '../client/cache-client.ts';
export { digestOf } from '../client/digest-of-stream.ts';
export { Digest } from '../digest/digest.ts';
export { blake3, md5, sha1, sha256, sha384, sha512 } from '../digest/digest-function.ts';
export type { DigestFunction, DigestFunctionName, Hasher } from '../digest/digest-function.ts';
export type { ActionResult } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
export { openCache } from '../wiring/open-cache.ts';
export type { OpenCacheOptions } from '../wiring/open-cache.ts';
export type { CacheCredentials } from '../wiring/open-calls.ts';
