/** The router of the forwarding benchmark, on a TAP in each of two namespaces. Says `ready`. Its argument is {@link ForwarderOptions} as JSON. */

import { merge } from 'rxjs';
import { inNamespace } from '../drivers/native/namespace.js';
import { openTap } from '../drivers/tap.js';
import { conntrack } from '../operators/filter/conntrack.js';
import { firewall } from '../operators/filter/firewall.js';
import { nat } from '../operators/l3/nat.js';
import { type Router, router, type RouterOptions } from '../operators/stack/router.js';
import { toDevices } from '../operators/stack/to-devices.js';
import { environment } from '../operators/time/environment.js';
import { type ForwarderOptions, PLAN } from './forward-plan.js';

const { client, server, rules, translates = false } = JSON.parse(process.argv[2] ?? '{}') as ForwarderOptions;
const env = environment();
const { lan, wan } = PLAN;
const sides = [
  { namespace: client, ...lan },
  { namespace: server, ...wan },
];
const devices = sides.map(({ namespace, name, mac, peer }) =>
  inNamespace(namespace, () => openTap({ name, mac, peer: [...peer] }, env)),
);
const [, outside] = devices;

/** What stands in the way. */
function between(): Pick<RouterOptions, 'hooks'> {
  if (rules !== undefined) return { hooks: { forward: firewall(rules, {}, env) } };
  if (!translates) return {};
  const tracking = conntrack({}, env);
  const translator = nat(
    ([4, 6] as const).map((version) => ({ kind: 'masquerade', out: wan.name, version })),
    { conntrack: tracking, tables: () => me.tables },
    env,
  );
  return {
    hooks: {
      prerouting: [tracking, translator.prerouting],
      postrouting: [translator.postrouting, tracking.confirm],
    },
  };
}

const me: Router = router(
  {
    interfaces: devices.map((device, i) => ({ device, addresses: [...(sides[i]?.addresses ?? [])] })),
    routes: PLAN.routes.map((route) => ({ ...route, ...(outside === undefined ? {} : { device: outside }) })),
    ...between(),
  },
  env,
);
merge(...devices.map(({ frames$ }) => frames$))
  .pipe(me)
  .subscribe(toDevices(...devices));
process.stdout.write('ready\n');
