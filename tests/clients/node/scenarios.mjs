// Conversations of @kubernetes/client-node with a cluster. Usage: node scenarios.mjs KUBECONFIG KIND
// KIND: "objects" (any cluster) or "streams" (pods that are processes). Prints one JSON object: {name: "" or what failed}.
import assert from 'node:assert/strict';
import { PassThrough, Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import net from 'node:net';
import * as k8s from '@kubernetes/client-node';

const [, , kubeconfig, kind] = process.argv;
const config = new k8s.KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
const namespace = 'default';
const SECONDS = 20;

async function until(what, test) {
  const end = Date.now() + SECONDS * 1000;
  while (!(await test())) {
    if (Date.now() > end) throw new Error(`in vain waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

function configMap(name, data, labels = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, data };
}

function pod(name, command) {
  const containers = [{ name: 'main', image: 'none', command }];
  return { metadata: { name }, spec: { terminationGracePeriodSeconds: 0, containers } };
}

function deployment(name, replicas) {
  const labels = { app: name };
  const containers = [{ name: 'main', image: 'registry.example/x:1' }];
  const template = { metadata: { labels }, spec: { containers } };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: { replicas, selector: { matchLabels: labels }, template },
  };
}

async function refused(code, promise) {
  const error = await promise.then(() => assert.fail('it was answered'), (found) => found);
  assert.equal(error.code, code, String(error));
  return JSON.parse(typeof error.body === 'string' ? error.body : JSON.stringify(error.body));
}

const objects = {
  async typed() {
    const made = await core.createNamespacedConfigMap({ namespace, body: configMap('typed', { a: '1' }) });
    assert.ok(made.metadata.uid && made.metadata.creationTimestamp instanceof Date);
    made.data.b = '2';
    const replaced = await core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: made });
    assert.deepEqual(replaced.data, { a: '1', b: '2' });
    const conflict = await refused(409, core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: made }));
    assert.equal(conflict.reason, 'Conflict');
    await core.patchNamespacedConfigMap(
      { name: 'typed', namespace, body: { data: { a: null } } },
      k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
    );
    assert.deepEqual((await core.readNamespacedConfigMap({ name: 'typed', namespace })).data, { b: '2' });
    await core.patchNamespacedConfigMap({
      name: 'typed',
      namespace,
      body: [{ op: 'add', path: '/data/c', value: '3' }],
    });
    const gone = await core.deleteNamespacedConfigMap({ name: 'typed', namespace });
    assert.equal(gone.status, 'Success');
    assert.equal((await refused(404, core.readNamespacedConfigMap({ name: 'typed', namespace }))).reason, 'NotFound');
    const invalid = await refused(422, core.createNamespacedPod({ namespace, body: { metadata: { name: 'p' } } }));
    assert.equal(invalid.reason, 'Invalid');
  },

  async deployments() {
    await apps.createNamespacedDeployment({ namespace, body: deployment('node', 2) });
    await until('two pods', async () => {
      const found = await apps.readNamespacedDeploymentStatus({ name: 'node', namespace });
      return found.status.availableReplicas === 2;
    });
    const scale = await apps.readNamespacedDeploymentScale({ name: 'node', namespace });
    assert.equal(scale.status.selector, 'app=node');
    delete scale.metadata.resourceVersion;
    scale.spec.replicas = 1;
    await apps.replaceNamespacedDeploymentScale({ name: 'node', namespace, body: scale });
    await until('one pod', async () => {
      const found = await core.listNamespacedPod({ namespace, labelSelector: 'app=node' });
      return found.items.length === 1;
    });
    const [only] = (await core.listNamespacedPod({ namespace, labelSelector: 'app=node' })).items;
    const logs = await core.readNamespacedPodLog({ name: only.metadata.name, namespace });
    assert.match(logs, /started/);
    const eviction = { metadata: { name: only.metadata.name, namespace } };
    await core.createNamespacedPodEviction({ name: only.metadata.name, namespace, body: eviction });
    await apps.deleteNamespacedDeployment({ name: 'node', namespace, propagationPolicy: 'Foreground' });
    await until('the pods to be gone', async () => {
      const found = await core.listNamespacedPod({ namespace, labelSelector: 'app=node' });
      return found.items.length === 0;
    });
  },

  async pages() {
    for (const number of [0, 1, 2, 3, 4]) {
      await core.createNamespacedConfigMap({ namespace, body: configMap(`page-${number}`, {}, { pages: 'yes' }) });
    }
    const names = [];
    let following;
    do {
      const page = await core.listNamespacedConfigMap({
        namespace,
        labelSelector: 'pages=yes',
        limit: 2,
        _continue: following,
      });
      names.push(...page.items.map((item) => item.metadata.name));
      following = page.metadata._continue;
    } while (following);
    assert.deepEqual(names, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'pages=yes' });
    assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: 'pages=yes' })).items.length, 0);
  },

  async watch() {
    const seen = [];
    let done;
    const ended = new Promise((resolve) => (done = resolve));
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const list = await core.listNamespacedConfigMap({ namespace });
    const watching = await new k8s.Watch(config).watch(
      path,
      { labelSelector: 'watched=yes', resourceVersion: list.metadata.resourceVersion, allowWatchBookmarks: true },
      (type, object) => seen.push(`${type} ${object.metadata.name}`),
      done,
    );
    await core.createNamespacedConfigMap({ namespace, body: configMap('watched', { a: '1' }, { watched: 'yes' }) });
    await core.patchNamespacedConfigMap({
      name: 'watched',
      namespace,
      body: [{ op: 'replace', path: '/data/a', value: '2' }],
    });
    await core.deleteNamespacedConfigMap({ name: 'watched', namespace });
    await until('three events', () => seen.length === 3);
    assert.deepEqual(seen, ['ADDED watched', 'MODIFIED watched', 'DELETED watched']);
    watching.abort();
    await ended;
  },

  async watchThatIsTooOld() {
    let done;
    const ended = new Promise((resolve) => (done = resolve));
    await new k8s.Watch(config).watch(
      `/api/v1/namespaces/${namespace}/nonsense`,
      {},
      () => assert.fail('an event'),
      done,
    );
    const error = await ended;
    assert.equal(error.statusCode ?? error.code, 404);
  },

  async informer() {
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'informed=yes' });
    await core.createNamespacedConfigMap({ namespace, body: configMap('informed-0', {}, { informed: 'yes' }) });
    const seen = [];
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const informer = k8s.makeInformer(config, path, list, 'informed=yes');
    for (const verb of ['add', 'update', 'delete']) informer.on(verb, (o) => seen.push(`${verb} ${o.metadata.name}`));
    informer.on('error', (error) => seen.push(`error ${error}`));
    await informer.start();
    await core.createNamespacedConfigMap({ namespace, body: configMap('informed-1', {}, { informed: 'yes' }) });
    await until('the second', () => seen.includes('add informed-1'));
    assert.deepEqual(informer.list().map((o) => o.metadata.name).sort(), ['informed-0', 'informed-1']);
    await core.deleteNamespacedConfigMap({ name: 'informed-0', namespace });
    await until('its end', () => seen.includes('delete informed-0'));
    assert.equal(informer.get('informed-1', namespace).metadata.name, 'informed-1');
    await informer.stop();
    // stopping is told as an aborted request
    assert.ok(!seen.some((text) => text.startsWith('error') && !text.includes('AbortError')), seen.join());
  },

  async serverSideApply() {
    const client = k8s.KubernetesObjectApi.makeApiClient(config);
    const apply = (spec, manager, force) =>
      client.patch(spec, undefined, undefined, manager, force, k8s.PatchStrategy.ServerSideApply);
    const made = await apply(deployment('applied', 1), 'first');
    assert.equal(made.spec.replicas, 1);
    const conflict = await refused(409, apply(deployment('applied', 2), 'second'));
    assert.match(conflict.message, /conflict with "first".*\.spec\.replicas/);
    const taken = await apply(deployment('applied', 2), 'second', true);
    assert.equal(taken.spec.replicas, 2);
    const read = await client.read({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'applied', namespace } });
    const managers = read.metadata.managedFields.map((entry) => entry.manager);
    assert.ok(managers.includes('first') && managers.includes('second'));
    assert.equal((await client.list('apps/v1', 'Deployment', namespace)).kind, 'DeploymentList');
    await client.delete(read);
  },

  async customObjects() {
    const schema = { openAPIV3Schema: { type: 'object', x_kubernetes_preserve_unknown_fields: true } };
    await extensions.createCustomResourceDefinition({
      body: {
        metadata: { name: 'rafts.node.example' },
        spec: {
          group: 'node.example',
          scope: 'Namespaced',
          names: { plural: 'rafts', singular: 'raft', kind: 'Raft' },
          versions: [{ name: 'v1', served: true, storage: true, subresources: { status: {} }, schema }],
        },
      },
    });
    await until('the definition', async () => {
      const found = await extensions.readCustomResourceDefinition({ name: 'rafts.node.example' });
      return (found.status?.conditions ?? []).some((c) => c.type === 'Established' && c.status === 'True');
    });
    const where = { group: 'node.example', version: 'v1', namespace, plural: 'rafts' };
    const raft = { apiVersion: 'node.example/v1', kind: 'Raft', metadata: { name: 'one' }, spec: { logs: 5 } };
    await custom.createNamespacedCustomObject({ ...where, body: raft });
    const status = { ...(await custom.getNamespacedCustomObject({ ...where, name: 'one' })), status: { afloat: true } };
    await custom.replaceNamespacedCustomObjectStatus({ ...where, name: 'one', body: status });
    const listed = await custom.listNamespacedCustomObject(where);
    assert.deepEqual([listed.kind, listed.items[0].status.afloat], ['RaftList', true]);
    await custom.deleteNamespacedCustomObject({ ...where, name: 'one' });
    await extensions.deleteCustomResourceDefinition({ name: 'rafts.node.example' });
  },

  async whatElseIsServed() {
    const version = await config.makeApiClient(k8s.VersionApi).getCode();
    assert.match(version.gitVersion, /^v1\.36/);
    const groups = await config.makeApiClient(k8s.ApisApi).getAPIVersions();
    assert.ok(groups.groups.some((group) => group.name === 'apps'));
    const review = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({
      body: { spec: { resourceAttributes: { verb: 'create', resource: 'pods', namespace } } },
    });
    assert.equal(review.status.allowed, true);
    assert.equal(await new k8s.Health(config).readyz({}), true);
    const nodes = await core.listNode();
    assert.equal(nodes.items.length, 2);
    const lease = config.makeApiClient(k8s.CoordinationV1Api);
    const now = new k8s.V1MicroTime();
    const body = { metadata: { name: 'leader' }, spec: { holderIdentity: 'me', acquireTime: now, leaseDurationSeconds: 5 } };
    const made = await lease.createNamespacedLease({ namespace, body });
    assert.equal(new Date(made.spec.acquireTime).toISOString().slice(0, 23), now.toISOString().slice(0, 23));
  },
};

class Collected extends Writable {
  text = '';
  _write(data, _, done) {
    this.text += data;
    done();
  }
}

const serve = "import socketserver as s\nclass H(s.StreamRequestHandler):\n  def handle(self):\n    self.wfile.write(b'you said '+self.rfile.readline())\ns.ThreadingTCPServer.allow_reuse_address=True\ns.ThreadingTCPServer(('127.0.0.1',PORT),H).serve_forever()";

async function running(body) {
  await core.createNamespacedPod({ namespace, body });
  await until('the pod to run', async () => {
    const found = await core.readNamespacedPod({ name: body.metadata.name, namespace });
    return found.status.phase === 'Running' && found.status.containerStatuses?.[0]?.state?.running;
  });
}

const streams = {
  async exec() {
    await running(pod('exec', ['sh', '-c', 'echo up; while read line; do echo got $line; done; sleep 60']));
    const [out, err] = [new Collected(), new Collected()];
    const status = await new Promise((resolve, reject) => {
      const input = Readable.from(['a line\n']);
      const command = ['sh', '-c', 'read line; echo got $line; echo problem >&2; exit 4'];
      new k8s.Exec(config).exec(namespace, 'exec', 'main', command, out, err, input, false, resolve).catch(reject);
    });
    assert.equal(status.status, 'Failure');
    assert.deepEqual(status.details.causes, [{ reason: 'ExitCode', message: '4' }]);
    await until('its words', () => out.text && err.text);
    assert.deepEqual([out.text, err.text], ['got a line\n', 'problem\n']);
    const fine = await new Promise((resolve, reject) => {
      new k8s.Exec(config).exec(namespace, 'exec', 'main', 'true', out, err, null, false, resolve).catch(reject);
    });
    assert.equal(fine.status, 'Success');
  },

  async logs() {
    await running(pod('logs', ['sh', '-c', 'for i in 1 2 3; do echo line $i; sleep 0.2; done; sleep 60']));
    const out = new PassThrough();
    let text = '';
    out.on('data', (data) => (text += data));
    const following = await new k8s.Log(config).log(namespace, 'logs', 'main', out, { follow: true });
    await until('three lines', () => text === 'line 1\nline 2\nline 3\n');
    following.abort();
    const last = await core.readNamespacedPodLog({ name: 'logs', namespace, tailLines: 1 });
    assert.equal(last, 'line 3\n');
  },

  async attach() {
    await running(pod('attach', ['sh', '-c', 'while true; do echo tick; sleep 0.1; done']));
    const out = new Collected();
    const socket = await new k8s.Attach(config).attach(namespace, 'attach', 'main', out, null, null, false);
    await until('a tick', () => out.text.includes('tick\n'));
    socket.close();
  },

  async portForward() {
    const free = net.createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const port = free.address().port;
    free.close();
    await running(pod('forward', ['python3', '-c', serve.replace('PORT', port)]));
    const forward = new k8s.PortForward(config);
    const server = net.createServer((socket) => {
      forward.portForward(namespace, 'forward', [port], socket, null, socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    let answer = '';
    await until('somebody to listen', async () => {
      const socket = net.connect(server.address().port, '127.0.0.1');
      socket.write('hello\n');
      const waiting = once(socket, 'data').then(([data]) => (answer = String(data)));
      await Promise.race([waiting, once(socket, 'close'), new Promise((r) => setTimeout(r, 1000))]).catch(() => {});
      socket.destroy();
      return answer;
    });
    assert.equal(answer, 'you said hello\n');
    server.close();
  },
};

const results = {};
process.on('uncaughtException', (error) => {
  results['(outside)'] = String(error.stack);
});
for (const [name, scenario] of Object.entries(kind === 'streams' ? streams : objects)) {
  results[name] = await scenario().then(
    () => '',
    (error) => String(error.stack ?? error),
  );
}
process.stdout.write(JSON.stringify(results));
process.exit(0);
