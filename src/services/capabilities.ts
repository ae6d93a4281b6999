// build.bazel.remote.execution.v2.Capabilities: what works here, and nothing else. Answered without touching
// storage (CAP-13).
import type { Authorizer } from '../base/authorizer.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { implementService } from '../grpc/service.ts';
import type { ServiceImplementation } from '../grpc/service.ts';
import { Capabilities, SymlinkAbsolutePathStrategy_Value } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { DigestFunction_Value } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ServiceLimits } from './limits.ts';

/** Bazel speaks 2.0 only and refuses a server that starts above it (CAP-1). Nothing is on its way out. */
const lowestVersion = { major: 2, minor: 0 };
/**
 * The newest version. What a cache has to do differently since 2.0 is done: digest functions named in requests,
 * output_symlinks and root_directory_digest in results. Everything else that came since is announced by a field of
 * its own, which stays unset until it works.
 */
const highestVersion = { major: 2, minor: 12 };

export interface CapabilitiesDependencies {
  /** Only what the store declares is asked for, never a blob (CAP-13). */
  readonly blobs: Pick<BlobStore, 'capabilities'>;
  readonly authorizer: Authorizer;
  readonly limits: ServiceLimits;
}

/** Left unset because it does not work here: compressors, split and splice, priorities, execution (CAP-9, CAP-11). */
export function createCapabilitiesService({ blobs, authorizer, limits }: CapabilitiesDependencies): ServiceImplementation {
  const { blobBytesMax } = blobs.capabilities;
  const constant = {
    digestFunctions: digestFunctions.map(({ wireValue }) => wireValue as DigestFunction_Value), // the table's numbers are REAPI's
    maxBatchTotalSizeBytes: BigInt(limits.batchBytesMax),
    // 0 means no limit; a store that takes every size it can be told has none (CAP-10).
    maxCasBlobSizeBytes: blobBytesMax < Number.MAX_SAFE_INTEGER ? BigInt(blobBytesMax) : 0n,
    // Results and directories are kept as they come; nothing here follows a symlink (CAP-7).
    symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy_Value.ALLOWED,
  };
  return implementService(Capabilities, {
    getCapabilities(request, context) {
      const instance = parseInstanceName(request.instanceName);
      authorizer.require(context.caller, 'read', instance);
      const updateEnabled = authorizer.allows(context.caller, 'write', instance);
      return {
        cacheCapabilities: { ...constant, actionCacheUpdateCapabilities: { updateEnabled } },
        deprecatedApiVersion: lowestVersion,
        lowApiVersion: lowestVersion,
        highApiVersion: highestVersion,
      };
    },
  });
}
