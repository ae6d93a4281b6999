// build.bazel.remote.execution.v2.ActionCache over the ActionCache contract. Whether a result is complete is told
// by the cache behind it; what a client inlined becomes blobs here, so that every reader can have it.
import type { SharedActionCache as ActionResults } from '../actions/action-cache.ts';
import type { EntryRights } from '../actions/entry-rights.ts';
import { storeInlinedOutputs } from '../actions/inlined-outputs.ts';
import type { Authorizer } from '../base/authorizer.ts';
import type { CacheUsage } from '../base/cache-usage.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { Digest } from '../digest/digest.ts';
import { parseInstanceName } from '../digest/instance-name.ts';
import { implementService } from '../grpc/service.ts';
import type { CallContext, ServiceImplementation } from '../grpc/service.ts';
import type { GetActionResultQuery, UpdateActionResultQuery } from '../proto/action-result-codec.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { ActionCache } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { inlineOutputs } from './inline-outputs.ts';
import type { ServiceLimits } from './limits.ts';
import { checkResultDigests, requestDigest } from './request-digest.ts';

export interface ActionCacheDependencies {
  readonly blobs: BlobStore;
  readonly actions: ActionResults;
  readonly entryRights: EntryRights;
  readonly authorizer: Authorizer;
  readonly limits: ServiceLimits;
  readonly usage: CacheUsage;
}

export function createActionCacheService({ blobs, actions, entryRights, authorizer, limits, usage }: ActionCacheDependencies): ServiceImplementation {
  const answer = (
    request: GetActionResultQuery,
    actionDigest: Digest,
    result: EncodedActionResult | undefined,
    context: CallContext,
  ): MaybePromise<EncodedActionResult> => {
    if (result === undefined) throw new CacheError('not_found', `no result of action ${actionDigest.toString()} is in the cache`);
    if (!request.inlineStdout && !request.inlineStderr && request.inlineOutputFiles.length === 0) return result;
    const from = { blobs, digestFunction: actionDigest.function, answerBytesMax: limits.answerBytesMax };
    return inlineOutputs(result, request, from, context);
  };

  return implementService(ActionCache, {
    getActionResult(request: GetActionResultQuery, context: CallContext) {
      const instance = parseInstanceName(request.instanceName);
      authorizer.require(context.caller, 'read', instance);
      const actionDigest = requestDigest(request.digestFunction, request.actionDigest, 'action_digest');
      const { actions: lookups } = usage.of(context.tool, instance);
      const counted = (found: EncodedActionResult | undefined): MaybePromise<EncodedActionResult> => {
        lookups.add(found === undefined ? 0 : 1, found === undefined ? 1 : 0);
        return answer(request, actionDigest, found, context);
      };
      const result = actions.get({ instance, actionDigest }, context);
      return isPromise(result) ? result.then(counted) : counted(result);
    },

    /** Any results_cache_policy is accepted: no range of priorities is advertised (AC-11). */
    async updateActionResult(request: UpdateActionResultQuery, context: CallContext) {
      const instance = parseInstanceName(request.instanceName);
      authorizer.require(context.caller, 'write', instance);
      const actionDigest = requestDigest(request.digestFunction, request.actionDigest, 'action_digest');
      if (request.actionResult === undefined) throw new CacheError('invalid_argument', 'action_result is not set');
      checkResultDigests(request.actionResult, actionDigest.function);
      const result = await storeInlinedOutputs(request.actionResult, actionDigest.function, blobs, context);
      const key = { instance, actionDigest };
      if (entryRights.mayReplace(context.caller, instance)) {
        await actions.put(key, result, context);
        return result;
      }
      const outcome = await actions.putFirst(key, result, context);
      if (outcome === 'kept') throw entryRights.kept(context.caller, 'action_result', key);
      if (outcome === 'stored' || !authorizer.allows(context.caller, 'read', instance)) return result;
      // The answer is what is stored (AC-9), also where somebody else has stored it.
      return (await actions.get(key, context)) ?? result;
    },
  });
}
