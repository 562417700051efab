/** Users and groups over HTTP: `/providers/Poolhouse.Identity/users[/NAME]` and `…/groups[/NAME]`. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { httpStatusOf, PoolhouseError } from '../core/errors.ts';
import type { Asker, IdentityService } from '../providers/identity/identity-service.ts';
import type { Asked } from './classify-path.ts';
import { conditions, methodNotAllowed, readBody } from './read-request.ts';

export async function answerIdentity(
  identity: IdentityService,
  asked: Extract<Asked, { asked: 'identity' }>,
  asker: Asker,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const collection = identity[asked.kind];
  const { name } = asked;
  if (name === undefined) {
    if (request.method !== 'GET') throw methodNotAllowed(request.method);
    return { value: await collection.list() };
  }
  switch (request.method) {
    case 'GET':
      return collection.get(name);
    case 'HEAD':
      return reply.code(await statusOf(collection.get(name))).send();
    case 'PUT': {
      const { created, body } = await collection.put(name, readBody(request), conditions(request), asker);
      return reply.code(created ? 201 : 200).send(body);
    }
    case 'PATCH':
      return (await collection.patch(name, readBody(request), conditions(request), asker)).body;
    case 'DELETE':
      return reply.code((await collection.remove(name, asker)) ? 200 : 204).send();
    default:
      throw methodNotAllowed(request.method);
  }
}

async function statusOf(found: Promise<unknown>): Promise<204 | 404> {
  return found.then(
    () => 204,
    (error: unknown) => {
      if (!(error instanceof PoolhouseError) || httpStatusOf[error.code] !== 404) throw error;
      return 404;
    },
  );
}
