// All six calls of the Open Inference Protocol over gRPC, as a client of another maker makes them: @grpc/grpc-js over the proto.
// Usage: node client.mjs HOST:PORT PROTO PICTURE. Prints what it got as one line of JSON.
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { credentials, loadPackageDefinition, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const [address, proto, picture] = process.argv.slice(2);
const { inference } = loadPackageDefinition(loadSync(proto, { keepCase: true, longs: Number, defaults: true, oneofs: true }));
const client = new inference.GRPCInferenceService(address, credentials.createInsecure());
const call = name => promisify(client[name]).bind(client);

const vector = (name, values) => ({ name, datatype: 'INT32', shape: [1, values.length] });
const bytes = values => Buffer.from(Int32Array.from(values).buffer);
const ints = buffer => [...new Int32Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.length))];
const first = Array.from({ length: 16 }, (_, i) => i);
const second = Array.from({ length: 16 }, () => 1);

const raw = await call('ModelInfer')({
  model_name: 'simple', id: 'raw', inputs: [vector('INPUT0', first), vector('INPUT1', second)], raw_input_contents: [bytes(first), bytes(second)],
});
const typed = await call('ModelInfer')({
  model_name: 'simple', outputs: [{ name: 'OUTPUT1' }],
  inputs: [{ ...vector('INPUT0', first), contents: { int_contents: first } }, { ...vector('INPUT1', second), contents: { int_contents: second } }],
});
const file = readFileSync(picture);
const length = Buffer.alloc(4);
length.writeUInt32LE(file.length);
const classes = await call('ModelInfer')({
  model_name: 'cats', inputs: [{ name: 'image', datatype: 'BYTES', shape: [1] }], raw_input_contents: [Buffer.concat([length, file])],
  outputs: [{ name: 'probabilities', parameters: { classification: { int64_param: 1 } } }],
});
// 200 at once: batches of the server's own making, each answered with its own sum.
const many = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
  const mine = first.map(value => value * i);
  const reply = await call('ModelInfer')({ model_name: 'simple', inputs: [vector('INPUT0', mine), vector('INPUT1', second)], raw_input_contents: [bytes(mine), bytes(second)] });
  return ints(reply.raw_output_contents[0]).every((value, j) => value === mine[j] + 1);
}));
const refused = await call('ModelInfer')({ model_name: 'nothing' }).catch(error => error.code === status.NOT_FOUND);

console.log(JSON.stringify({
  live: (await call('ServerLive')({})).live,
  ready: (await call('ServerReady')({})).ready,
  modelReady: (await call('ModelReady')({ name: 'simple' })).ready,
  properties: (await call('ModelMetadata')({ name: 'simple' })).properties.max_batch_size,
  server: (await call('ServerMetadata')({})).name,
  inputs: (await call('ModelMetadata')({ name: 'simple' })).inputs.map(input => `${input.name} ${input.datatype} [${input.shape}]`),
  id: raw.id, sum: ints(raw.raw_output_contents[0]), difference: ints(raw.raw_output_contents[1]),
  typed: ints(typed.raw_output_contents[0]), typedOutputs: typed.outputs.length,
  label: classes.raw_output_contents[0].subarray(4).toString('utf8'),
  many: many.every(Boolean), refused,
}));
client.close();
