/**
 * What control has gateways do with sessions (`GET /v1/orders`, a long poll): tell their people a line, end them. All
 * gateways get all orders; one that does not carry the session leaves it alone.
 */
import { z } from 'zod';

export const orderSchema = z.object({
  /** Carried out once, however often it comes. */
  id: z.string(),
  /** The session's id. */
  session: z.string(),
  /** A line for the person. */
  message: z.string().optional(),
  /** Ends it; the person is told this reason. */
  end: z.string().optional(),
});

export const orderListSchema = z.object({
  /** Differs with every change, and between two runs of control. */
  revision: z.string(),
  /** Those of the last minute, oldest first. */
  orders: z.array(orderSchema),
});

export type Order = z.infer<typeof orderSchema>;
export type OrderList = z.infer<typeof orderListSchema>;
