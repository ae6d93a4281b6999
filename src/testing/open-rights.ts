// Rights that are in nobody's way, for tests of something else.
import { anonymous } from '../base/authorizer.ts';
import type { Authenticator, Authorizer } from '../base/authorizer.ts';

export const everythingAllowed: Authorizer = { allows: () => true, allowsSomewhere: () => true, whyNot: () => 'nothing is refused', require() {}, requireSomewhere() {} };

/** Credentials are not looked at. */
export const nobodyKnown: Authenticator = { generation: 0, identify: () => anonymous };
