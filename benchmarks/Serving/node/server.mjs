// A server as one would write it with Node: onnxruntime-node with fastify. POST /score: pixels in, probabilities out,
// both as float32.
// Usage: node server.mjs MODEL.onnx
import Fastify from 'fastify';
import ort from 'onnxruntime-node';

const session = await ort.InferenceSession.create(process.argv[2]);
const app = Fastify();
app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
app.post('/score', async (request, reply) => {
  const pixels = new Float32Array(request.body.buffer.slice(request.body.byteOffset, request.body.byteOffset + request.body.length));
  const { probabilities } = await session.run({ pixels: new ort.Tensor('float32', pixels, [1, 3, 32, 32]) }, ['probabilities']);
  return reply.type('application/octet-stream').send(Buffer.from(probabilities.data.buffer));
});
console.log(`listening ${await app.listen({ host: '127.0.0.1', port: 0 })}`);
